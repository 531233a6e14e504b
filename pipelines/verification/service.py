"""The verifier over HTTP, on loopback with a token: ``/verify``, ``/credit``, and OpenRLHF's remote reward."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TypeVar

from prometheus_client import Counter
from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stepforge.pipelines.scorers import named_scorer, open_scorer
from stepforge.pipelines.serving.loopback import Meter, loopback_app, serve, token_for_service
from stepforge.pipelines.verification import verdicts
from stepforge.pipelines.verification.own_verifier import OwnVerifier
from stepforge.pipelines.verification.verdicts import AnswerVerifier, Item, Verified, Verifier, VerifierLimits
from stepforge.schemas.protocols import EngineDead, Scorer
from stepforge.schemas.record import Record

Asked = TypeVar("Asked", bound=Record)


class VerifyRequest(Record):
    """What ``/verify`` takes."""

    items: tuple[Item, ...]
    seconds: float | None = Field(default=None, gt=0)
    """A shorter limit than the service's own."""
    client: str = ""
    """Scheduling group: requests of one client wait for each other, not for another client's. By default its port."""


class CreditItem(Record):
    question: str
    steps: tuple[str, ...] = Field(min_length=1)


class CreditRequest(Record):
    """What ``/credit`` takes."""

    items: tuple[CreditItem, ...]


class OpenRlhfRequest(Record):
    """What OpenRLHF posts to ``--reward.remote_url``."""

    query: tuple[str, ...]
    """Prompt and response together."""
    prompts: tuple[str, ...]
    labels: tuple[str, ...]


class StepCredit(Record):
    """The credit of one solution's steps, for training loops that reward steps."""

    steps: tuple[float, ...] | None
    """Value after each step minus the value before it, starting at 1; None if it could not be scored."""
    values: tuple[float, ...] = ()
    """Value after each step: the lowest score so far, so nothing after an error earns credit."""
    reason: str | None = None


async def step_credit(scorer: Scorer, question: str, steps: Sequence[str]) -> StepCredit:
    """Return credit from a process reward model: a solution starts at 1, a right step earns 0, a wrong one loses."""
    (found,) = await scorer.score(question, [steps])
    if found.error is not None:
        return StepCredit(steps=None, reason=found.error)
    values = tuple(accumulate(found.scores, min, initial=1.0))
    return StepCredit(steps=tuple(round(after - ahead, 6) for ahead, after in pairwise(values)), values=values[1:])


class VerifierRoutes:
    """Answers requests with a verifier, and a reward model if there is one."""

    def __init__(self, verifier: Verifier, limits: VerifierLimits, scorer: Scorer | None, meter: Meter) -> None:
        self._verifier = verifier
        self._limits = limits
        self._scorer = scorer
        self._outcomes = Counter("stepforge_verdicts_total", "Verdicts.", ("outcome",), registry=meter.registry)

    async def verify(self, request: Request) -> Response:
        found = await self._verdicts(request, await _read(request, VerifyRequest))
        rows = b",".join(one.model_dump_json().encode() for one in found)
        return Response(b'{"verdicts":[' + rows + b"]}", media_type="application/json")

    async def open_rlhf(self, request: Request) -> Response:
        asked = await _read(request, OpenRlhfRequest)
        if not len(asked.query) == len(asked.prompts) == len(asked.labels):
            raise HTTPException(422, "query, prompts and labels are not equally long")
        triples = zip(asked.query, asked.prompts, asked.labels, strict=True)
        items = tuple(Item(response=query.removeprefix(prompt), reference=label) for query, prompt, label in triples)
        found = await self._verdicts(request, VerifyRequest(items=items))
        rewards = [verdicts.UNDETERMINED_REWARD if one.reward is None else one.reward for one in found]
        undetermined = [float(one.outcome == "undetermined") for one in found]
        return JSONResponse({"rewards": rewards, "scores": rewards, "extra_logs": {"undetermined": undetermined}})

    async def credit(self, request: Request) -> Response:
        if self._scorer is None:
            raise HTTPException(404, "this service has no reward model: start it with --scorer")
        asked = await _read(request, CreditRequest)
        _limited(len(asked.items), self._limits.items)
        work = (step_credit(self._scorer, item.question, item.steps) for item in asked.items)
        try:
            found = await asyncio.wait_for(asyncio.gather(*work), self._limits.seconds)
        except (TimeoutError, EngineDead) as error:
            why = "the request timed out" if isinstance(error, TimeoutError) else str(error)
            return JSONResponse({"credits": [{"steps": None, "reason": why} for _ in asked.items]})
        return JSONResponse({"credits": [one.model_dump() for one in found]})

    def health(self) -> Mapping[str, object]:
        return {"service": "verify", "credit": self._scorer is not None, **self._limits.model_dump()}

    async def _verdicts(self, request: Request, asked: VerifyRequest) -> list[Verified]:
        _limited(len(asked.items), self._limits.items)
        seconds = min(asked.seconds or self._limits.seconds, self._limits.seconds)
        port = request.client.port if request.client else 0
        found = await self._verifier.verify(asked.items, client=asked.client or str(port), seconds=seconds)
        for one in found:
            self._outcomes.labels(one.outcome).inc()
        return found


def serve_verifier(
    say: Callable[[str], None], *, port: int, verifier: str | None, scorer: str | None, limits: VerifierLimits
) -> None:
    """Serve until interrupted; prints the address and the token once it is up."""
    judging: Verifier = OwnVerifier(verifier) if verifier else AnswerVerifier()
    crediting = asyncio.run(open_scorer(named_scorer(scorer))) if scorer else None
    token = token_for_service()
    app = verify_app(judging, token=token, limits=limits, scorer=crediting)
    try:
        serve(app, port=port, ready=lambda address: say(f"{address}  token: {token}"))
    finally:
        asyncio.run(judging.close())


def verify_app(verifier: Verifier, *, token: str, limits: VerifierLimits, scorer: Scorer | None = None) -> ASGIApp:
    meter = Meter("verify")
    service = VerifierRoutes(verifier, limits, scorer, meter)
    paths = {"/verify": service.verify, "/openrlhf": service.open_rlhf, "/credit": service.credit}
    routes = [Route(path, work, methods=["POST"]) for path, work in paths.items()]
    return loopback_app(routes, token=token, meter=meter, health=service.health)


def _limited(count: int, most: int) -> None:
    if count > most:
        raise HTTPException(413, f"the request has {count} items; at most {most} are taken at a time")


async def _read(request: Request, record: type[Asked]) -> Asked:
    try:
        return record.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(422, f"{place}: {first['msg']}") from None
