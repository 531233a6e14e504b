"""The tree of a problem's rollouts: which steps were written after a prefix, and how those ended.

A rollout counts at every step that it passes through, wherever it started: given that it gets there, how it ends is a
sample of how the policy ends from there. How often a step is written is not meaningful: its completions were requested.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from stepforge.labelers.evidence.prefix_index import prefix_keys
from stepforge.schemas.interval import beta_interval
from stepforge.schemas.labeled import Belief, LabeledProblem
from stepforge.schemas.rollout import Outcome, Rollout, Step


class Continuation(NamedTuple):
    """A rollout's continuation of some prefix."""

    rollout: str
    steps: tuple[Step, ...]
    """What it wrote after the prefix, to its end; at least one step."""
    outcome: Outcome


class Branch(NamedTuple):
    """One step written right after a prefix, and what is known of V after it."""

    step: Step
    ways: tuple[Continuation, ...]
    """The rollouts through it with a known outcome, as continuations of the prefix before it."""
    beliefs: tuple[Belief, ...]
    """The labeler's estimate for the prefix that ends with it."""
    outcome: float | None
    """1 or 0 if solutions end with this step: then V is known exactly."""
    picked: int = 0
    """Successes that do not count, because the branch was picked for having them."""

    @property
    def successes(self) -> int:
        """Rollouts through it that reach the right answer, without those it was picked for."""
        return sum(way.outcome == "correct" for way in self.ways) - self.picked

    @property
    def failures(self) -> int:
        """Rollouts through it that end with a wrong answer."""
        return sum(way.outcome == "wrong" for way in self.ways)

    @property
    def value(self) -> float:
        """Mean of V: its outcome, else the labeler's posterior mean, else that under a flat prior."""
        if self.outcome is not None:
            return self.outcome
        if self.beliefs:
            return sum(belief.value for belief in self.beliefs) / len(self.beliefs)
        return (self.successes + 1) / (self.successes + self.failures + 2)

    @property
    def interval(self) -> tuple[float, float]:
        """Central 90 % credible interval of V: the labeler's, unless the counts alone say more."""
        if self.outcome is not None:
            return self.outcome, self.outcome
        low, high = beta_interval(self.successes, self.failures)
        # What never failed so far may never fail: next to a value known to be 1, the tail cut off here matters.
        counted = low if self.successes else 0.0, high if self.failures else 1.0
        if not self.beliefs:
            return counted
        believed = min(b.low for b in self.beliefs), max(b.high for b in self.beliefs)
        return min(believed, counted, key=lambda ends: ends[1] - ends[0])


class EvidenceTree:
    """The rollouts of one problem by the prefixes that they go through.

    Prefixes are kept as digests: their texts together would grow with the square of a solution's length.
    """

    def __init__(self, problem: LabeledProblem) -> None:
        self.steps: dict[str, tuple[Step, ...]] = {s.rollout.id: s.rollout.steps for s in problem.solutions}
        """Whole step sequences, from the question on, by rollout."""
        self._ways: dict[bytes, list[tuple[Rollout, tuple[Step, ...], int]]] = defaultdict(list)
        """By prefix the rollouts through it: with all steps from the question on, and how many are the prefix."""
        self._beliefs: dict[bytes, list[Belief]] = defaultdict(list)
        for solution in problem.solutions:
            for key, label in zip(islice(prefix_keys(solution.rollout.steps), 1, None), solution.labels, strict=True):
                if label is not None and label.belief is not None:
                    self._beliefs[key].append(label.belief)
        for rollout in (*problem.sampled, *problem.evidence, *problem.further):
            self.add(rollout)

    def add(self, rollout: Rollout) -> None:
        """Add a rollout whose start is already known."""
        start = rollout.start
        before = self.steps[start.rollout][: start.steps] if start is not None and start.steps else ()
        whole = self.steps[rollout.id] = (*before, *rollout.steps)
        keys = tuple(prefix_keys(whole))
        # From a step's end is through that step, so it counts at the prefix before it as well.
        for count in range(max(0, len(before) - 1), len(whole)):
            self._ways[keys[count]].append((rollout, whole, count))

    def ways(self, prefix: Sequence[Step]) -> list[Continuation]:
        """Return how rollouts continued from a prefix, in the order drawn."""
        found = self._ways.get(_key(prefix), ())
        return [Continuation(rollout.id, whole[count:], rollout.outcome) for rollout, whole, count in found]

    def branches(self, prefix: Sequence[Step], *, without: str | None = None) -> dict[str, Branch]:
        """Return the steps written right after a prefix, by their text, first drawn first.

        ``without`` names the rollout by whose outcome the prefix was chosen: it would count against its own step, so
        it counts for none. A step that no other rollout wrote stays, without counts.
        """
        found: dict[str, list[Continuation]] = defaultdict(list)
        for way in self.ways(prefix):
            found[way.steps[0].text].append(way)
        return {text: self._branch(prefix, ways, without) for text, ways in found.items()}

    def _branch(self, prefix: Sequence[Step], ways: list[Continuation], without: str | None) -> Branch:
        step = ways[0].steps[0]
        known = [way for way in ways if way.outcome != "undetermined"]
        ended = {way.outcome == "correct" for way in known if len(way.steps) == 1}
        exact = float(ended.pop()) if len(ended) == 1 and all(len(way.steps) == 1 for way in known) else None
        counted = tuple(way for way in known if way.rollout != without)
        return Branch(step, counted, tuple(self._beliefs.get(_key((*prefix, step)), ())), exact)


def _key(steps: Sequence[Step]) -> bytes:
    *_, last = prefix_keys(steps)
    return last
