"""The ``step_advantages`` export: what each step did to the chance of a right answer, for credit in RL.

A step's advantage is V after it minus V before it, both for the policy that wrote it. V before the first step is the
policy's pass rate on the problem, V at the end is the outcome. Unmeasured steps in between share the advantage of their
span.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from math import exp
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.contract import Export, Origin, asked, origin, own_columns_first
from stepforge.pipelines.exports.marked import Measured, measured
from stepforge.schemas.interval import beta_interval
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution

VERIFIERS = {"version": "0.4.0"}
"""The verifiers whose trace schema ``episode`` follows."""


@own_columns_first
class StepAdvantagesRow(Origin):
    prompt: str
    """What the policy was given."""
    question: str
    steps: tuple[str, ...]
    learned: tuple[bool, ...]
    """False for a tool's answer: the policy did not write it."""
    token_ids: tuple[tuple[int, ...], ...]
    """Of each step; empty where the engine does not report them, and for tools."""
    logprobs: tuple[tuple[float, ...], ...]
    """Of each step's tokens under the policy, in nats; empty unless ``engine.logprobs`` was on."""
    reward: float
    """1 or 0: the outcome."""
    value_before: float
    """V of the bare question: posterior mean of the pass rate under a flat prior."""
    values: tuple[float | None, ...]
    """V after each step; the outcome after the last; null where it was not measured."""
    advantages: tuple[float, ...]
    """V after the step minus V before it; over its span of unmeasured steps, if any."""
    advantage_low: tuple[float, ...]
    """Least that the difference can be with both values inside their intervals; both are, at least 8 times in 10."""
    advantage_high: tuple[float, ...]
    min_form: tuple[float, ...]
    """The same weighted by a softmax of the negated advantages, so the worst step gets nearly all the credit
    (arXiv 2504.15275)."""
    error_posterior: tuple[float, ...]
    """Probability that the step is the first wrong one; empty where the labeler gives none."""
    token_advantages: tuple[float, ...]
    """The step's advantage at each token that the policy wrote, all steps joined."""
    token_min_form: tuple[float, ...]


class StepAdvantages(Export):
    """Each policy solution with a known outcome, duplicates included, because frequency matters."""

    kind: Literal["step_advantages"] = "step_advantages"
    row = StepAdvantagesRow
    temperature: float = Field(default=0.1, gt=0)
    """Temperature of the softmax of ``min_form``: the smaller, the more credit the worst step gets."""
    traces: Literal["advantages", "min_form"] | None = "advantages"
    """Which credit the verifiers traces (``traces.jsonl``) hold; none writes no traces."""

    def lines_beside(self, file: str) -> str | None:
        """verifiers reads a folder's ``traces.jsonl``."""
        return None if not self.traces else "traces.jsonl" if file.startswith("train") else "test_traces.jsonl"

    def line(self, row: Mapping[str, object]) -> Mapping[str, object]:
        one = StepAdvantagesRow.model_validate({name: row[name] for name in StepAdvantagesRow.model_fields})
        return episode(one, one.token_min_form if self.traces == "min_form" else one.token_advantages)

    def rows(self, problem: LabeledProblem) -> Iterator[StepAdvantagesRow]:
        own = [s for s in problem.solutions if s.rollout.tokens and s.rollout.outcome != "undetermined"]
        right = sum(s.rollout.outcome == "correct" for s in own)
        first = Measured((right + 1) / (len(own) + 2), *beta_interval(right, len(own) - right))
        for solution in own:
            if solution.rollout.steps:
                yield self._row(problem, solution, first)

    def _row(self, problem: LabeledProblem, solution: LabeledSolution, first: Measured) -> StepAdvantagesRow:
        rollout, posterior = solution.rollout, solution.verdict.posterior
        reward = float(rollout.outcome == "correct")
        known = (*(measured(label) for label in solution.labels[:-1]), Measured(reward, reward, reward))
        advantages, lows, highs = zip(*credits(first, known), strict=True)
        least = min_form(advantages, self.temperature)
        return StepAdvantagesRow(
            prompt=asked(problem),
            question=problem.problem.question,
            steps=tuple(step.text for step in rollout.steps),
            learned=tuple(step.author == "policy" for step in rollout.steps),
            token_ids=tuple(step.token_ids for step in rollout.steps),
            logprobs=tuple(step.token_logprobs for step in rollout.steps),
            reward=reward,
            value_before=first.value,
            values=tuple(None if m is None else m.value for m in known),
            advantages=advantages,
            advantage_low=lows,
            advantage_high=highs,
            min_form=least,
            error_posterior=() if posterior is None else posterior[: len(rollout.steps)],
            token_advantages=_by_token(solution, advantages),
            token_min_form=_by_token(solution, least),
            **origin(problem, solution),
        )


def credits(first: Measured, known: tuple[Measured | None, ...]) -> list[Measured]:
    """Return the advantage of each step with its bounds; the last of ``known`` is given."""
    found: list[Measured] = []
    before = first
    for i, after in enumerate(known):
        if after is not None:
            change = Measured(after.value - before.value, after.low - before.high, after.high - before.low)
            found += [change] * (i + 1 - len(found))
            before = after
    return found


def min_form(advantages: tuple[float, ...], temperature: float) -> tuple[float, ...]:
    worst = min(advantages)
    weights = [exp((worst - advantage) / temperature) for advantage in advantages]
    return tuple(advantage * weight / sum(weights) for advantage, weight in zip(advantages, weights, strict=True))


def _by_token(solution: LabeledSolution, credit: tuple[float, ...]) -> tuple[float, ...]:
    steps = zip(solution.rollout.steps, credit, strict=True)
    return tuple(value for step, value in steps for _ in step.token_ids)


def episode(row: StepAdvantagesRow, credit: Sequence[float]) -> Mapping[str, object]:
    """Return a row as an episode of one trace: a line of verifiers' ``traces.jsonl``; ``credit`` is one of its tokens'.

    The tokens of the prompt are not stored, so the first node has none. Times are zero: data contains no times.
    """
    task = {"type": "StepforgeTask", "data": {"id": row.problem_id, "prompt": row.question}, "key": row.problem_id}
    asked = {"message": {"role": "user", "content": row.question}, "timestamp": 0.0}
    trace = {
        "id": row.solution_id,
        "verifiers": VERIFIERS,
        "task": task,
        "agent": {"config": {}, "name": "stepforge"},
        "nodes": [asked, *_written(row, credit)],
        "rewards": {"right_answer": {"score": row.reward, "weight": 1.0}},
        "info": {"advantage_low": row.advantage_low, "advantage_high": row.advantage_high},
        "is_completed": True,
        "ok": True,
        "stop_condition": "agent_completed",
        "timing": {"start": 0.0},
    }
    group = {"id": row.problem_id}
    return {"id": trace["id"], "env": {"id": "stepforge"}, "task": task, "group": group, "ok": True, "traces": [trace]}


def _written(row: StepAdvantagesRow, credit: Sequence[float]) -> Iterator[Mapping[str, object]]:
    """Yield a node for what the policy wrote, and one for each tool's answer in between."""
    rest = iter(credit)
    steps = zip(row.learned, row.steps, row.token_ids, row.logprobs, strict=True)
    for parent, (learned, group) in enumerate(groupby(steps, key=lambda step: step[0])):
        _, texts, tokens, chances = zip(*group, strict=True)
        ids, logprobs = list(chain(*tokens)), list(chain(*chances))
        message = {"role": "assistant" if learned else "tool", "content": "".join(texts)}
        yield {
            "parent": parent,
            "message": message if learned else {**message, "tool_call_id": ""},
            "sampled": learned,
            "timestamp": 0.0,
            "token_ids": ids,
            "mask": [learned] * len(ids),
            "logprobs": logprobs if learned and len(logprobs) == len(ids) else [],
            "advantages": [next(rest) for _ in ids] if learned else None,
        }
