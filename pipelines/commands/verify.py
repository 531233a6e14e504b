"""``stepforge verify --serve``: the verifier over HTTP until it is interrupted."""

import asyncio
from collections.abc import Callable
from typing import Any

from stepforge.pipelines.scorers import open_scorer
from stepforge.pipelines.scorers.named import named_scorer
from stepforge.pipelines.serving.loopback import serve, token_for_service
from stepforge.pipelines.verification.verdicts import AnswerVerifier, Verifier, VerifierLimits
from stepforge.schemas.record import Record


class VerifyService(Record):
    """What is served."""

    port: int = 0
    verifier: str | None = None
    """``module:function`` of a user's own."""
    scorer: str | None = None
    """A reward model, for step credit."""
    limits: VerifierLimits = VerifierLimits()


def serve_verifier(service: VerifyService, say: Callable[[str], Any]) -> None:
    """Serve until interrupted; the address and the token are said once it answers."""
    from stepforge.pipelines.verification.credit import Credit
    from stepforge.pipelines.verification.own_verifier import OwnVerifier
    from stepforge.pipelines.verification.service import verify_app

    verifier: Verifier = OwnVerifier(service.verifier) if service.verifier else AnswerVerifier()
    scorer = asyncio.run(open_scorer(named_scorer(service.scorer))) if service.scorer else None
    token = token_for_service()
    app = verify_app(verifier, token=token, limits=service.limits, credit=Credit(scorer) if scorer else None)
    try:
        serve(app, port=service.port, ready=lambda address: say(f"{address}  token: {token}"))
    finally:
        asyncio.run(verifier.close())
