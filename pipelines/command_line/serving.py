"""Commands that answer over HTTP on this machine."""

from typing import Annotated

import typer

from stepforge.pipelines.commands.exit_codes import one_line_errors
from stepforge.pipelines.terminal.output import say


def verify(
    serve: Annotated[bool, typer.Option("--serve", help="Answer over HTTP on this machine until interrupted.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0: any that is free.")] = 0,
    verifier: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Your own, called with (response, reference).")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A reward model for step credit: `embedded`, a model, or TOML.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest time for a request.")] = 10.0,
    items: Annotated[int, typer.Option(min=1, help="Most responses in a request.")] = 1024,
) -> None:
    """Serve verdicts (correct, wrong, undetermined) and step credit to reinforcement learning."""
    with one_line_errors():
        from stepforge.pipelines.commands.verify import VerifyService, serve_verifier
        from stepforge.pipelines.verification.verdicts import VerifierLimits
        from stepforge.schemas.errors import BadInput

        if not serve:
            raise BadInput("give --serve; to grade a file: stepforge grade FILE")
        limits = VerifierLimits(items=items, seconds=seconds)
        serve_verifier(VerifyService(port=port, verifier=verifier, scorer=scorer, limits=limits), say)
