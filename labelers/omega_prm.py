"""OmegaPRM (arXiv 2406.06592): bisection for the first error, inside a tree that reuses what was estimated.

As in the paper: the selected rollout leaves the pool, N(s) counts selections, every priority is refreshed before
each selection, the question's own rollouts are the root's, no prefix is estimated twice, and the complete wrong
solution is never continued. One departure, which ``solutions_first = false`` undoes: the given wrong solutions are
searched before the tree's rollouts, so each gets a label within the limit.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Literal, NamedTuple

from pydantic import Field

from stepforge.labelers.bisection import bisect
from stepforge.labelers.evidence.store import QUESTION, Evidence, Trajectory, solution_trajectory
from stepforge.labelers.labeling import TRUNCATED, LabelPart, abstention, labeled_problem
from stepforge.schemas.labeled import LabeledProblem, StepLabel, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import Rollout, SolvedProblem

UNSOLVED = "no rollout from the question is correct"
NOT_SEARCHED = "search limit reached"
NO_VERDICT = "a prefix on the way has no completion with a verdict"


class OmegaPRM(LabelPart):
    """Divide and conquer in a tree; the paper's constants are the defaults."""

    kind: Literal["omega_prm"] = "omega_prm"
    k: int = Field(default=8, ge=1, le=10_000)
    """Completions at each prefix asked about."""
    search_limit: int = Field(default=100, ge=1)
    """Most bisections per question."""
    alpha: float = Field(default=0.5, gt=0, le=1)
    beta: float = Field(default=0.9, gt=0, le=1)
    length: float = Field(default=500.0, gt=0)
    """L of equation 2, in tokens."""
    c_puct: float = Field(default=0.125, ge=0)
    solutions_first: bool = True
    """Whether the given solutions are searched before the tree's own rollouts."""
    grow: bool = True
    """Whether the tree's own rollouts are searched at all; without, only the given solutions get labels."""
    curtailed: bool = False
    """Whether a prefix's first success ends its completions: the same labels in distribution, for fewer tokens. The
    tree's values are then not plain shares, so its priorities differ."""

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        search = _Search(self, solved, Evidence(solved, policy, grader, seed))
        await search.run()
        verdicts = [search.verdict(rollout) for rollout in solved.rollouts]
        return labeled_problem(self.name, solved, verdicts, search.evidence)


class Exploration(NamedTuple):
    """The constants of equations 2 and 3, with the paper's values (section 4)."""

    alpha: float = 0.5
    beta: float = 0.9
    length: float = 500.0
    """L, in tokens."""
    c_puct: float = 0.125


@dataclass(eq=False)
class State:
    """An estimated prefix, and its wrong rollouts not searched yet."""

    depth: int
    """Steps in the prefix."""
    label: StepLabel
    pool: list[Trajectory]
    visits: int = 0
    """N(s): how often one of its rollouts was selected."""


def rollout_quality(value: float, tokens: int, constants: Exploration) -> float:
    """Return Q(s, r) = alpha^(1 - MC(s)) * beta^(len(r) / L), equation 2; length in tokens."""
    return float(constants.alpha ** (1 - value) * constants.beta ** (tokens / constants.length))


def state_bonus(visits: int, all_visits: int, constants: Exploration) -> float:
    """Return U(s) = c_puct * sqrt(sum_i N(s_i)) / (1 + N(s)), equation 3."""
    return constants.c_puct * sqrt(all_visits) / (1 + visits)


class Tree:
    """The states of one question. A selected rollout leaves the pool, and every priority is computed afresh."""

    def __init__(self, constants: Exploration) -> None:
        self.constants = constants
        self.states: dict[str, State] = {}

    def add(self, prefix: str, depth: int, label: StepLabel, wrong: list[Trajectory]) -> State:
        """Return the state of a prefix; a new one adds its wrong rollouts to the pool."""
        if prefix not in self.states:
            # The paper also asks for MC(s) < 1, which any state with a wrong rollout of its own has; solutions that
            # were supplied are searched at MC(s) = 1 too.
            self.states[prefix] = State(depth, label, list(wrong) if label.value else [])
        return self.states[prefix]

    def select(self) -> tuple[State, Trajectory] | None:
        """Pop the (state, rollout) with the largest Q + U over the whole pool, and count the visit."""
        return self._pop_best([(state, path) for state in self.states.values() for path in state.pool])

    def select_from(self, state: State, rollouts: set[str]) -> tuple[State, Trajectory] | None:
        """The same among certain rollouts of one state."""
        return self._pop_best([(state, path) for path in state.pool if path.rollout in rollouts])

    def _pop_best(self, candidates: list[tuple[State, Trajectory]]) -> tuple[State, Trajectory] | None:
        if not candidates:
            return None
        all_visits = sum(state.visits for state in self.states.values())
        state, path = max(candidates, key=lambda pair: self._score(pair[0], pair[1], all_visits))
        state.visits += 1
        state.pool.remove(path)
        return state, path

    def _score(self, state: State, path: Trajectory, all_visits: int) -> float:
        value = state.label.value or 0.0
        quality = rollout_quality(value, path.tokens, self.constants)
        return quality + state_bonus(state.visits, all_visits, self.constants)


class _Search:
    """One question's search: the tree, the evidence, and the first error of every path searched so far."""

    def __init__(self, part: OmegaPRM, solved: SolvedProblem, evidence: Evidence) -> None:
        self.part = part
        self.evidence = evidence
        self.tree = Tree(Exploration(part.alpha, part.beta, part.length, part.c_puct))
        self.given = [solution_trajectory(r) for r in solved.rollouts if r.outcome == "wrong" and r.steps]
        self.found: dict[str, int | None] = {}
        """First error by rollout id; None where a prefix without a verdict ended the bisection."""
        self.root: State | None = None

    async def run(self) -> None:
        """Search until the pool is empty or the limit is reached."""
        own = {rollout.id for rollout in self.evidence.root}
        label = await self.evidence.measure(QUESTION, 0, len(own) or self.part.k)
        drawn = [path for path in self._wrong_from(QUESTION, 0) if path.rollout not in own]
        self.root = self.tree.add("", 0, label, [*self.given, *drawn])
        for _ in range(self.part.search_limit):
            selected = self._given() or (self.tree.select() if self.part.grow else None)
            if selected is None:
                return
            state, path = selected
            self.found[path.rollout] = await self._bisect(state, path)

    def verdict(self, rollout: Rollout) -> Verdict:
        if rollout.outcome == "correct" and rollout.steps:
            return Verdict(labeler=self.part.name, first_error=None)
        first_error = self.found.get(rollout.id)
        if first_error is not None:
            return Verdict(labeler=self.part.name, first_error=first_error)
        return abstention(self.part.name, self._why(rollout))

    def _why(self, rollout: Rollout) -> str:
        if rollout.outcome == "undetermined" or not rollout.steps:
            return TRUNCATED
        if rollout.id in self.found:
            return NO_VERDICT
        value = self.root.label.value if self.root is not None else None
        return {None: NO_VERDICT, 0.0: UNSOLVED}.get(value, NOT_SEARCHED)

    def _given(self) -> tuple[State, Trajectory] | None:
        if not self.part.solutions_first or self.root is None:
            return None
        return self.tree.select_from(self.root, {path.rollout for path in self.given})

    async def _bisect(self, state: State, path: Trajectory) -> int | None:
        """Return the first error: MC is above zero before it and zero after it (section 3.2)."""

        async def alive(count: int) -> bool | None:
            part = self.part
            label = await self.evidence.settle(path, count, part.k, curtailed=part.curtailed)
            self.tree.add(path.prefix(count), count, label, self._wrong_from(path, count))
            return label.hard

        error, _ = await bisect(state.depth, len(path.steps), alive)
        return error

    def _wrong_from(self, path: Trajectory, count: int) -> list[Trajectory]:
        return [
            Trajectory(r.id, (*path.steps[:count], *r.steps), r.outcome, r.tokens)
            for r in self.evidence.completions(path, count)
            if r.outcome == "wrong" and r.steps
        ]
