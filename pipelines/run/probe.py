"""Checks an engine before sampling with it.

An engine that ignores seeds or the beginning to continue from, or that breaks off and calls it finished, makes labels
that look like any others. About fifteen completions of one of the run's problems reveal most such engines.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stepforge.generators.policy import NotSampled, PromptedPolicy, SpecialToken
from stepforge.labelers import AnswerLikelihood
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.gate import LONE_SURROGATE
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import seed_of

LONGEST = 512
"""Tokens that a completion of the probe may take."""
SAMPLES = 8
WARM = 1.5
"""Temperature of the second check: only a cache gives the same text eight times there."""


@contextmanager
def naming_engine(table: str) -> Iterator[None]:
    """Name an engine's table of the run file in messages, which all say ``engine``."""
    try:
        yield
    except BadInput as error:
        rest = str(error).removeprefix("engine")
        raise BadInput(f"{table}{rest}" if rest[:1] in (".", ":") else str(error)) from None


def completing(run: RunFile) -> list[str]:
    """Return the names of the run's labelers that need completions."""
    return [part.name for part in run.label if getattr(part, "completes", True)]


def fitting(problems: Sequence[Problem]) -> Problem | None:
    return min(problems, key=lambda problem: len(problem.question), default=None)


def check_going_on_is_known(engine: Engine, run: RunFile) -> None:
    """Refuse a server that only takes whole conversations, if labelers need more."""
    cannot = getattr(engine, "cannot", None)
    if cannot is not None and completing(run):
        raise BadInput(
            f"engine: {cannot}. {', '.join(completing(run))} need that: use the judge labeler, or an engine that can"
        )


async def check_answers(engine: Engine, run: RunFile, problem: Problem) -> None:
    policy = _policy(engine, run)
    try:
        (solution,) = await policy.solve(problem, n=1, seed=seed_of(run.seed, "probe"))
    except SpecialToken:
        return  # the row's fault
    except (NotSampled, ValueError) as error:
        raise BadInput(f"engine: the test completion failed: {error}") from None
    if getattr(run.engine, "logprobs", False) and solution.mean_logprob is None:
        raise BadInput("engine.logprobs: the engine reports no log-probabilities; remove the setting")
    if any(isinstance(part, AnswerLikelihood) for part in run.label):
        read = await policy.likelihood(problem, solution.steps[:1], "\n", "1")
        if read.finish == "error":
            raise BadInput(f"label.answer_likelihood: {read.error}")


async def probe(engine: Engine, run: RunFile, problem: Problem) -> None:
    """Check that an engine samples by seed and continues from the given beginning."""
    if isinstance(run.engine, ScriptedEngineSettings):
        return  # no model; its rates come from the settings
    check_going_on_is_known(engine, run)
    if not completing(run):
        await check_answers(engine, run, problem)
        return
    likeliest = _policy(engine, run, 0.0).sample(problem, (), n=1, seed=0)
    _, drawn, greedy = await _at_once(
        check_answers(engine, run, problem), _check_seeds(engine, run, problem), likeliest
    )
    for rollout in (*greedy, *drawn):
        if len(rollout.steps) > 1 and not LONE_SURROGATE.search(rollout.text):
            await _check_going_on(engine, run, problem, rollout, exact=rollout is greedy[0])
            return


async def _at_once(*checks: Coroutine[Any, Any, Any]) -> list[Any]:
    """Return what each check returns. Raises what the first of those that failed raised, once all have ended: a slow
    engine answers many requests as fast as one."""
    found = await asyncio.gather(*checks, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def _policy(engine: Engine, run: RunFile, temperature: float | None = None) -> PromptedPolicy:
    settings = run.policy.model_copy(update={"max_tokens": min(run.policy.max_tokens, LONGEST)})
    if temperature is not None:
        settings = settings.model_copy(update={"temperature": temperature, "top_p": 1.0})
    return PromptedPolicy(engine, settings)


async def _check_seeds(engine: Engine, run: RunFile, problem: Problem) -> list[Rollout]:
    """Solutions with different seeds must differ: in the second check, the temperature forces it."""
    drawn: list[Rollout] = []
    for temperature in (max(1.0, run.policy.temperature), WARM):
        seed = seed_of(run.seed, "probe seeds", str(temperature))
        found = await _policy(engine, run, temperature).sample(problem, (), n=SAMPLES, seed=seed)
        drawn += [rollout for rollout in found if rollout.finish != "error"]
        texts = Counter(rollout.text for rollout in drawn)
        if len(texts) > 2 or min(texts.values(), default=0) == 1:
            return drawn
    different = "one text" if len(texts) == 1 else f"{len(texts)} texts"
    if len(drawn) > SAMPLES:
        raise BadInput(
            f"engine: {len(drawn)} solutions with different seeds are {different}, at temperatures up to {WARM:g}: "
            "seeds are ignored, or answers come from a cache; labels from such samples would be wrong"
        )
    return drawn


async def _check_going_on(engine: Engine, run: RunFile, problem: Problem, whole: Rollout, *, exact: bool) -> None:
    """Continue from half of a solution: at temperature 0 if it was drawn that way (``exact``), and a few more times."""
    half = (len(whole.steps) + 1) // 2
    before, rest = whole.steps[:half], "".join(step.text for step in whole.steps[half:])
    seed = seed_of(run.seed, "probe prefix")
    likeliest, found = await _at_once(
        _policy(engine, run, 0.0).sample(problem, before, n=int(exact), seed=0),
        _policy(engine, run).sample(problem, before, n=3, seed=seed),
    )
    for rollout in likeliest:
        _check_likeliest(rollout, whole, rest)
    if all(rollout.finish == "error" for rollout in found):
        raise BadInput("engine: it fails to continue from half of a solution")
    wrong = [fault for fault in (_fault(rollout, before, whole.steps[half]) for rollout in found) if fault]
    if len(wrong) > 1:
        raise BadInput(f"engine: asked to continue from half of a solution, it {wrong[0]}; labels would be wrong")


def _check_likeliest(rollout: Rollout, whole: Rollout, rest: str) -> None:
    """At temperature 0 the rest of a solution is known, up to rounding: it cannot be shorter."""
    if rollout.finish == "stop" and len(rollout.text) < len(rest) and rest.startswith(rollout.text):
        what = "breaks off" if rollout.text else "ends at once"
        raise BadInput(
            f"engine: asked to continue from half of a solution, it {what} and calls it finished; labels would be wrong"
        )
    if 0 < rollout.prompt_tokens <= whole.prompt_tokens:
        raise BadInput(
            f"engine: it counts {rollout.prompt_tokens} prompt tokens with half of a solution and "
            f"{whole.prompt_tokens} without: it ignores the beginning; labels would be wrong"
        )


def _fault(rollout: Rollout, before: Sequence[Step], after: Step) -> str | None:
    text = rollout.text.strip()
    given = "".join(step.text for step in before).strip()
    if text.startswith(given) and len(given) > len(before[0].text.strip()):
        return "repeats what it was given"
    first = before[0].text.strip()
    if first and text.startswith(first) and not after.text.strip().startswith(first):
        return "begins again: it ignores the beginning, or repeats it"
    return None
