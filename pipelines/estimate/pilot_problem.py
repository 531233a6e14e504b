"""What the problems of a pilot took, put together from its phases."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from stepforge.pipelines.estimate.pilot_worker import Phase
from stepforge.pipelines.estimate.sample import Sample
from stepforge.pipelines.run.stages import curate
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.labeled import Cost, LabeledProblem, cost_by_labeler
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import SolvedProblem

R = TypeVar("R", bound=Record)
ByLabeler = dict[str, Cost]


class PilotProblem(NamedTuple):
    """What one problem of the pilot took, and what came of it."""

    id: str
    solve: Cost
    label: tuple[ByLabeler, ...]
    """As the run labels most of its problems, once for each of the rates it may come to; empty where vetting dropped
    the problem."""
    label_pooling: ByLabeler
    """As the run labels the problems from which it pools the rates."""
    solve_seconds: float
    label_seconds: float
    vetted: bool
    kept: bool
    labeled_steps: int


class PilotPhases(NamedTuple):
    """The phases of a pilot, each on all of its engines."""

    solving: Sequence[Phase]
    under_defaults: Sequence[Phase]
    """The labelers that pool rates, under the default ones; empty where there are none."""
    labeling: Sequence[Phase]
    """All labelers, under the first of the rates that the run may come to."""
    others: Sequence[Sequence[Phase]]
    """The labelers that pool rates, under each of the others."""


def pilot_problems(run: RunFile, sample: Sample, phases: PilotPhases) -> list[PilotProblem]:
    solved = {row.problem.id: row for row in rows_of(phases.solving, SolvedProblem)}
    labeled = {row.problem.id: row for row in rows_of(phases.labeling, LabeledProblem)}
    curated = curate([*labeled.values()], run.curate).kept
    steps = {row.problem.id: row.labeled_steps for row in curated}
    books = _Books(phases)
    solve_seconds, label_seconds = _seconds(phases.solving), _seconds(phases.labeling)
    return [
        PilotProblem(
            id=name,
            solve=Cost.of([r for r in solved[name].rollouts if r.tokens] if name in solved else []),
            label=books.label(name) if name in labeled else (),
            label_pooling=books.label_pooling(name) if name in labeled else {},
            solve_seconds=solve_seconds.get(name, 0.0),
            label_seconds=label_seconds.get(name, 0.0),
            vetted=name in labeled,
            kept=name in steps,
            labeled_steps=steps.get(name, 0),
        )
        for name in (item.problem.id for item in sample.items)
    ]


class _Books:
    """Costs by problem and labeler in each phase."""

    def __init__(self, phases: PilotPhases) -> None:
        self._defaults = _costs(phases.under_defaults)
        self._labeling = _costs(phases.labeling)
        self._others = [_costs(other) for other in phases.others]
        self._cached = _cached_shares(phases.under_defaults)

    def label(self, name: str) -> tuple[ByLabeler, ...]:
        first = self._as_asked_once(self._labeling[name])
        return (first, *(first | self._as_asked_once(other.get(name, {})) for other in self._others))

    def label_pooling(self, name: str) -> ByLabeler:
        return self._labeling[name] | self._defaults.get(name, {})

    def _as_asked_once(self, costs: ByLabeler) -> ByLabeler:
        """A labeler that labels twice finds in the prefix cache the second time what a run would have to compute."""
        return {
            name: cost.model_copy(update={"cached_prompt_tokens": round(cost.prompt_tokens * self._cached[name])})
            if name in self._cached
            else cost
            for name, cost in costs.items()
        }


def rows_of(phases: Sequence[Phase], record: type[R]) -> list[R]:
    return [row for phase in phases for row in phase.rows if isinstance(row, record)]


def _costs(phases: Sequence[Phase]) -> dict[str, ByLabeler]:
    return {
        row.problem.id: {entry.labeler: entry.cost for entry in row.costs} for row in rows_of(phases, LabeledProblem)
    }


def _cached_shares(phases: Sequence[Phase]) -> dict[str, float]:
    """Return each labeler's cached share of the prompt tokens."""
    total = cost_by_labeler(entry for row in rows_of(phases, LabeledProblem) for entry in row.costs)
    return {name: c.cached_prompt_tokens / c.prompt_tokens for name, c in total.items() if c.prompt_tokens}


def _seconds(phases: Sequence[Phase]) -> dict[str, float]:
    return {name: seconds for phase in phases for name, seconds in phase.seconds.items()}
