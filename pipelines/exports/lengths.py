"""Adaptive length: how few tokens a problem needs, short against long solutions, and whether to think at all."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.exports.contract import (
    Export,
    Origin,
    ProblemOrigin,
    asked,
    origin_of_path,
    own_columns_first,
    problem_origin,
)
from stepforge.pipelines.exports.right_paths import right_paths
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


@own_columns_first
class LengthPairRow(Origin):
    """Two right solutions of one problem, the shorter one chosen."""

    prompt: str
    chosen: str
    rejected: str
    chosen_length: int
    """In tokens."""
    rejected_length: int


@own_columns_first
class RoutingRow(ProblemOrigin):
    prompt: str
    """The bare question."""
    route: str
    """``answer`` at once, or ``think``."""
    budget: int | None
    """Tokens of the shortest right solution; null if none was found."""
    mean_tokens: float
    """Mean over the policy's solutions, right or wrong."""
    needed_share: float | None
    """Budget over mean: the share of its tokens that the policy needs here."""
    solved: int
    n: int


class ShortLong(Chat):
    """The shortest right solution of a problem against the longest; completions count as well."""

    kind: Literal["short_long"] = "short_long"
    row = LengthPairRow
    answers = "two"
    needs_completions = True
    min_ratio: float = Field(default=1.25, gt=1)
    """Tokens of the longer over those of the shorter must be at least this."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        paths = sorted(right_paths(problem), key=lambda path: path.tokens)
        if not paths or paths[-1].tokens < self.min_ratio * paths[0].tokens:
            return
        short, long = paths[0], paths[-1]
        pair = LengthPairRow(
            prompt=asked(problem),
            chosen=short.text,
            rejected=long.text,
            chosen_length=short.tokens,
            rejected_length=long.tokens,
            **origin_of_path(problem, short.id),
        )
        yield from self.laid_out(pair, problem, short.steps, long.steps)


class Routing(Export):
    """Each problem once: is it solved so reliably that thinking is wasted?"""

    kind: Literal["routing"] = "routing"
    row = RoutingRow
    needs_completions = True
    answer_from: float = Field(default=0.9, ge=0, le=1)
    """Least pass rate at which to answer directly."""
    hardest: int | None = None
    """Largest difficulty at which to answer directly; by default any."""

    def rows(self, problem: LabeledProblem) -> Iterator[RoutingRow]:
        """Yield the problem, if the policy solved it at least once or failed."""
        own = [s.rollout for s in problem.solutions if s.rollout.tokens and s.rollout.outcome != "undetermined"]
        if not own:
            return
        solved = sum(rollout.outcome == "correct" for rollout in own)
        budget = min((path.tokens for path in right_paths(problem)), default=None)
        mean = sum(rollout.tokens for rollout in own) / len(own)
        easy = self.hardest is None or (problem.problem.difficulty or 0) <= self.hardest
        yield RoutingRow(
            prompt=problem.problem.question,
            route="answer" if easy and solved >= self.answer_from * len(own) else "think",
            budget=budget,
            mean_tokens=mean,
            needed_share=None if budget is None else budget / mean,
            solved=solved,
            n=len(own),
            **problem_origin(problem),
        )
