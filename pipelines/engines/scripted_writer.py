"""Continues a solution from any point, erring and recovering at known rates.

While every stated value is right, the next step errs with the error rate. Once one is wrong, every line is with
the recovery rate ``Wait:`` and the right statement, after which the later steps are stated again; else the wrong value
is carried along, and never becomes right by chance. So the probability of success is known exactly.
"""

from random import Random
from typing import NamedTuple

from stepforge.grading.statement import REPAIR_MARK, read_claim
from stepforge.pipelines.engines.scripted_plan import Plan, find_question


class Position(NamedTuple):
    plan: Plan
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


def _carried(plan: Plan, place: int, values: list[int]) -> tuple[str, int]:
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
