"""An engine without a model, for dry runs and tests: its answers are a pure function of prompt, seed and position.

It continues a solution from any point. While every stated value is right, the next step errs with the error rate. Once
one is wrong, every line is with the recovery rate ``Wait:`` and the right statement, after which the later steps are
stated again; else the wrong value is carried along, and never becomes right by chance. So the probability of success is
known exactly.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from stepforge.grading.statement import REPAIR_MARK, read_claim
from stepforge.pipelines.engines.scripted_plan import SolutionPlan, find_question
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.pipelines.engines.tokenization import first_stop
from stepforge.schemas.protocols import Completion, EngineIdentity, Prompt, Sampling
from stepforge.schemas.rollout import Finish

VERSION = "1"
"""Must be raised when the same prompt and seed give another text."""


class Position(NamedTuple):
    plan: SolutionPlan
    values: tuple[int, ...]
    """The current value of each step; the true one if none is stated."""
    pending: tuple[int, ...]
    """Steps still to be stated, in order."""
    wrong: int | None
    """The first step whose stated value is wrong and not repaired."""
    unfinished: str
    """Unfinished line at the end of the prompt."""
    answered: bool


def read_position(prompt: str) -> Position:
    """Return the state of the solution in a prompt; lines unrelated to the plan are skipped."""
    plan, end = find_question(prompt)
    *lines, unfinished = prompt[end:].lstrip("\n").split("\n")
    stated: dict[int, int] = {}
    answered = False
    for line in lines:
        claim = read_claim(line)
        place = None if claim is None else plan.places.get(claim.name)
        answered = answered or line.startswith("Answer:")
        if claim is None or place is None:
            continue
        if line.startswith(REPAIR_MARK):
            stated = {i: value for i, value in stated.items() if i < place}
        stated[place] = _number(claim.sides[-1], plan.truth[place])
    values = tuple(stated.get(i, true) for i, true in enumerate(plan.truth))
    pending = tuple(i for i in range(len(plan.steps)) if i not in stated)
    wrong = next((i for i in sorted(stated) if stated[i] != plan.truth[i]), None)
    return Position(plan, values, pending, wrong, unfinished, answered)


def write(position: Position, rng: Random, error_rate: float, recovery_rate: float) -> str:
    plan, wrong, draw = position.plan, position.wrong, rng.random
    values, pending = list(position.values), list(position.pending)
    text, start = [], position.unfinished
    if position.answered:
        return ""
    done = 0
    while True:
        if wrong is not None and draw() < recovery_rate:
            line = REPAIR_MARK + plan.lines[wrong]
            values[wrong:] = plan.truth[wrong:]
            pending = [i for i in pending[done:] if i < wrong] + list(range(wrong + 1, len(plan.steps)))
            done, wrong = 0, None
        elif done == len(pending):
            text.append(_finish(f"Answer: {values[-1]}", start))
            return "".join(text)
        else:
            place = pending[done]
            done += 1
            if wrong is not None:
                line, values[place] = _carried(plan, place, values)
            elif draw() < error_rate:
                values[place] = wrong_number(rng, plan.truth[place])
                line = plan.lines[place][: -len(str(plan.truth[place])) - 1] + f"{values[place]}\n"
                wrong = place
            else:
                line = plan.lines[place]
        if start:
            line, start = _finish(line, start), ""
        text.append(line)


def wrong_number(rng: Random, value: int) -> int:
    offset = rng.choice((1, 1, 2, 10)) * rng.choice((-1, 1))
    return value + offset if value + offset > 0 or value <= 0 else value + abs(offset)


def _carried(plan: SolutionPlan, place: int, values: list[int]) -> tuple[str, int]:
    """A step computed from values, some wrong; it is wrong if one that it uses is."""
    step, truth = plan.steps[place], plan.truth[place]
    inputs = [values[i] if i >= 0 else plan.starts[i] for i in step.inputs]
    expression, value = step.work(inputs)
    true_inputs = [plan.truth[i] if i >= 0 else plan.starts[i] for i in step.inputs]
    if value == truth and inputs != true_inputs:
        value += 1 if sum(inputs) >= sum(true_inputs) else -1
    return step.line(expression, value), value


def _finish(line: str, start: str) -> str:
    """The rest of an unfinished line; a beginning that does not fit stays as a separate line."""
    if line.startswith(start):
        return line[len(start) :]
    return f"\n{line}"


def _number(text: str, true: int) -> int:
    try:
        return int(text) if len(text) < 20 else true + 1
    except ValueError:
        return true + 1


class _Likeliest(Random):
    """Replaces randomness at temperature 0: likely events happen, and a choice is always the first."""

    def random(self) -> float:
        return 0.5

    def choice(self, seq: Any) -> Any:
        return seq[0]


class ScriptedEngine(TextEngine):
    """Implements ``schemas.protocols.Engine``; a character is a token, its code point the id."""

    def __init__(self, settings: ScriptedEngineSettings) -> None:
        model = f"scripted, no model (errs {settings.error_rate:g}, recovers {settings.recovery_rate:g})"
        super().__init__(EngineIdentity(model=model, digest="", engine="scripted", version=VERSION))
        self._settings = settings

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if self._settings.latency_ms:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        self.check_open()
        try:
            text = "".join(map(chr, prompt.token_ids)) if prompt.token_ids else prompt.text
        except (ValueError, OverflowError):
            return Completion.failed("the prompt has tokens that are not characters")
        if not 0 < len(text) < self._settings.max_model_len:
            return Completion.failed(f"a prompt of {len(text)} tokens; 1 to {self._settings.max_model_len - 1} fit")
        if sampling.scored:
            return Completion.failed("no model: it cannot tell how likely a given text is")
        position = read_position(text)
        salt = crc32(text.encode("utf-8", "surrogatepass"))
        return self._write(position, len(text), seed ^ salt, sampling)

    def encode(self, text: str) -> tuple[int, ...]:
        try:
            return tuple(text.encode("latin-1"))  # several times as fast, and right for the families' texts
        except UnicodeEncodeError:
            return tuple(map(ord, text))

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return self.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(range(1, len(token_ids) + 1))

    def _write(self, position: Position, prompt_tokens: int, seed: int, sampling: Sampling) -> Completion:
        settings = self._settings
        rng = Random(seed) if sampling.temperature > 0 else _Likeliest()
        draw = rng.random
        if settings.failure_rate and draw() < settings.failure_rate:
            return Completion.failed("a failure, as set by failure_rate")
        breaks_off = settings.truncation_rate > 0 and draw() < settings.truncation_rate
        text = write(position, rng, settings.error_rate, settings.recovery_rate)
        room = min(sampling.max_tokens, settings.max_model_len - prompt_tokens)
        if breaks_off:
            room = min(room, int(draw() * len(text)))
        finish: Finish = "stop"
        tokens = len(text) + 1
        cut = first_stop(text, sampling.stop) if sampling.stop else None
        if tokens > room and (cut is None or cut >= room):
            text, finish, tokens = text[:room], "length", room
        elif cut is not None:
            text, tokens = text[:cut], cut + 1
        ids = self.encode(text)
        return Completion.model_construct(  # all fields are right by construction, and checking costs half the time
            text=text,
            token_ids=ids,
            token_ends=tuple(range(1, len(ids) + 1)),
            finish=finish,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            cached_tokens=0,
            mean_logprob=None,
            error=None,
        )
