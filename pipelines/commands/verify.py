"""``stepforge verify --serve``: the verifier over HTTP until it is interrupted."""

import asyncio
from collections.abc import Callable
from typing import Any

from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.scorers.named import named_scorer
from stepforge.pipelines.serving.loopback import serve, token_for_service
from stepforge.pipelines.verification.verdicts import AnswerVerifier, Verifier, VerifierLimits


def serve_verifier(
    say: Callable[[str], Any], *, port: int, verifier: str | None, scorer: str | None, limits: VerifierLimits
) -> None:
    """Serve until interrupted; the address and the token are said once it answers."""
    from stepforge.pipelines.verification.credit import Credit
    from stepforge.pipelines.verification.own_verifier import OwnVerifier
    from stepforge.pipelines.verification.service import verify_app

    judging: Verifier = OwnVerifier(verifier) if verifier else AnswerVerifier()
    credit = Credit(asyncio.run(open_scorer(named_scorer(scorer)))) if scorer else None
    token = token_for_service()
    app = verify_app(judging, token=token, limits=limits, credit=credit)
    try:
        serve(app, port=port, ready=lambda address: say(f"{address}  token: {token}"))
    finally:
        asyncio.run(judging.close())
