"""Solutions that call a tool: the policy stops at a call, the answer becomes a step, and sampling continues."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepforge.grading.calls import CLOSE, OPEN, REFUSED, answer_call, pending_call
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Engine
from stepforge.schemas.rollout import Step
from stepforge.schemas.seeds import seed_of

if TYPE_CHECKING:
    from stepforge.generators.policy import PromptedPolicy

ToolKind = Literal["calculator", "python"]

Written = tuple[tuple[Step, ...], Completion]
"""The steps of a rollout, and the engine's figures over all its requests."""
LONGEST_ANSWER = 200
"""Kept length of Python's output, in characters."""
REFUSALS = 3
"""Calls that may be refused before a solution counts as cut off."""


async def write_with_calls(policy: "PromptedPolicy", problem: Problem, prefix: Sequence[Step], *, seed: int) -> Written:
    """Return one rollout. A call that the prefix ends with is answered first."""
    before = "".join(step.text for step in prefix)
    allowed = problem.truth.calls if problem.truth and problem.truth.calls is not None else policy.settings.max_calls
    steps: list[Step] = []
    parts: list[Completion] = []
    text = ""
    while True:
        if (call := pending_call(before + text)) is not None:
            told = await _answer(policy, call) if (before + text).count(OPEN) <= allowed else REFUSED
            if told is None:  # a failure of the sandbox says nothing about the solution
                failed = Completion.failed("the tool failed", "server")
                return tuple(steps), _whole(text, [*parts, failed], cut_off=False)
            steps.append(Step(text=told, author="tool"))
            text += told
        left = policy.sampling.max_tokens - sum(part.tokens for part in parts)
        part = await policy.engine.complete(
            policy.prompt(problem, (*prefix, *steps)),
            seed=seed if not parts else seed_of(seed, "after call", len(parts)),
            sampling=policy.sampling.model_copy(update={"max_tokens": left}),
        )
        part = _with_end(policy, part)
        parts.append(part)
        steps.extend(policy.cut(part.text, part.token_ids, part.token_ends, part.logprobs))
        text += part.text
        called = part.finish == "stop" and part.text.endswith(CLOSE)
        over = part.tokens >= left or (before + text).count(OPEN) > allowed + REFUSALS
        if not called or over:
            return tuple(steps), _whole(text, parts, cut_off=called)


async def _answer(policy: "PromptedPolicy", call: str) -> str | None:
    """Return the answer to a call, as the line's continuation; None if the tool itself failed."""
    if policy.settings.tool == "calculator":
        return answer_call(call)
    if policy.python is None:
        raise RuntimeError("calls of Python need a sandbox")
    told = await policy.python(call)
    return None if told is None else f" = {' '.join(told.split())[:LONGEST_ANSWER]}\n"


def _with_end(policy: "PromptedPolicy", part: Completion) -> Completion:
    """Return a completion that stopped at the end of a call with that end, which engines leave out."""
    if part.finish != "stop" or pending_call(part.text) is None or part.text.endswith(CLOSE):
        return part
    return with_ending(policy.engine, part, CLOSE)


def with_ending(engine: Engine, part: Completion, ending: str) -> Completion:
    """Return a completion with the ending that it stopped at."""
    ids = engine.encode(ending) if part.token_ids else ()
    ends = engine.token_ends(ids) if ids else ()
    return part.model_copy(
        update={
            "text": part.text + ending,
            "token_ids": (*part.token_ids, *ids),
            "token_ends": (*part.token_ends, *(len(part.text) + end for end in ends)),
        }
    )


def _whole(text: str, parts: Sequence[Completion], *, cut_off: bool) -> Completion:
    tokens = sum(part.tokens for part in parts)
    known = [part.mean_logprob * part.tokens for part in parts if part.mean_logprob is not None]
    last = parts[-1]
    return Completion(
        text=text,
        finish="length" if cut_off else last.finish,
        tokens=tokens,
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in parts),
        mean_logprob=sum(known) / tokens if tokens and len(known) == len(parts) else None,
        error=last.error,
        cause=last.cause,
    )
