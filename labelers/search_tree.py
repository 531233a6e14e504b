"""OmegaPRM's search tree (arXiv 2406.06592, section 3.3): states, their wrong rollouts, and which to search next.

The tree does not sample and knows no policy: it takes counts and says where to look next.
"""

from math import sqrt
from typing import NamedTuple

from stepforge.labelers.evidence.store import Trajectory
from stepforge.schemas.labeled import StepLabel


class Exploration(NamedTuple):
    """The constants of equations 2 and 3, with the paper's values (section 4)."""

    alpha: float = 0.5
    beta: float = 0.9
    length: float = 500.0
    """L, in tokens."""
    c_puct: float = 0.125


class State:
    """An estimated prefix, and its wrong rollouts not searched yet."""

    def __init__(self, depth: int, label: StepLabel) -> None:
        self.depth = depth
        """Steps in the prefix."""
        self.label = label
        self.visits = 0
        """N(s): how often one of its rollouts was selected."""
        self.pool: list[Trajectory] = []

    @property
    def searchable(self) -> bool:
        """Whether MC(s) > 0. The paper also asks for MC(s) < 1, which any state with a wrong rollout of its own has;
        solutions that were supplied are searched at MC(s) = 1 too."""
        return bool(self.label.value)


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
            state = self.states[prefix] = State(depth, label)
            if state.searchable:
                state.pool = list(wrong)
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
