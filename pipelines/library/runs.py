"""Opening a run folder from Python: its problems, steps, evidence and data sets. Executes none of its code."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.commands.export import export_again
from stepforge.pipelines.commands.relabel import relabel
from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.filtered_shards import read_curated
from stepforge.pipelines.storage.layout import shard_index
from stepforge.pipelines.storage.store import AnyPath, place_of
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem, LabeledSolution

if TYPE_CHECKING:
    import datasets
    import polars


class Run:
    """A run folder, on a disk or in a store."""

    def __init__(self, folder: str | Path) -> None:
        self.folder: AnyPath = place_of(str(folder))
        self.settings: RunFile
        self.settings, self._layout = open_run(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def report(self) -> Any:
        """The figures of what is committed, recomputed."""
        return fresh_report(self.folder)

    def problems(self, *, evidence: bool = True) -> Iterator[LabeledProblem]:
        """Yield the curated problems with their labeled solutions, a few in memory at a time.

        Without ``evidence`` the sampled completions are left unread, which is much faster.
        """
        for path in self._layout.shards("curate"):
            yield from read_curated(self._layout, shard_index(path), without=() if evidence else COMPLETIONS)

    def steps(self) -> "polars.DataFrame":
        """Return one row per step of every labeled solution.

        Columns: ``problem``, ``solution``, ``step`` (0-based), ``text``, ``outcome`` (of the solution),
        ``first_error`` (of the solution; null: none or abstained), ``abstained``, ``trials``, ``successes``,
        ``value``, ``p_error`` (null: not measured), ``oracle`` (class of the step where the truth is known).
        """
        import polars

        rows = [
            row
            for problem in self.problems(evidence=False)
            for solution in problem.solutions
            for row in _step_rows(problem, solution)
        ]
        return polars.DataFrame(rows, schema=STEP_COLUMNS, orient="row")

    def dataset(self, name: str) -> "datasets.DatasetDict":
        """Return one of the run's data sets, as ``load_dataset`` gives it.

        Raises: BadInput: the run has none with this name.
        """
        import datasets

        if not isinstance(self.folder, Path):
            raise BadInput(f"{self.folder}: a data set is loaded from a local folder; copy {name} first")
        files = {
            split: sorted(str(path) for path in (self.folder / "datasets" / name).glob(f"{split}-*.parquet"))
            for split in ("train", "test")
        }
        if not any(files.values()):
            names = [export.name for export in self.settings.export]
            if name in names:
                raise BadInput(
                    f"{self.folder}: the data set {name!r} has no row; `stepforge report` says what was lost"
                )
            raise BadInput(f"{self.folder}: no data set {name!r}; there are: {', '.join(names) or 'none'}")
        return datasets.load_dataset("parquet", data_files={split: paths for split, paths in files.items() if paths})

    def export(self, *names: str) -> "Run":
        """Write data sets in the named formats, or all of the run's again; return the run."""
        export_again(self.folder, list(names))
        return Run(str(self.folder))

    def relabel(self, rule: str) -> "Run":
        """Label by another rule from stored evidence; return the new run folder, inside this one."""
        target, _ = relabel(self.folder, rule)
        return Run(str(target))


STEP_COLUMNS: dict[str, type] = {
    "problem": str,
    "solution": str,
    "step": int,
    "text": str,
    "outcome": str,
    "first_error": int,
    "abstained": bool,
    "trials": int,
    "successes": int,
    "value": float,
    "p_error": float,
    "oracle": str,
}


def _step_rows(problem: LabeledProblem, solution: LabeledSolution) -> Iterator[tuple[object, ...]]:
    truth = oracle_verdict(problem.problem, solution.rollout)
    for number, step in enumerate(solution.rollout.steps):
        label = solution.labels[number]
        belief = label.belief if label else None
        yield (
            *(problem.problem.id, solution.rollout.id, number, step.text, solution.rollout.outcome),
            *(solution.verdict.first_error, solution.verdict.abstained),
            *((label.trials, label.successes) if label else (None, None)),
            belief.value if belief else label.value if label else None,
            belief.p_error if belief else None,
            truth.classes[number] if truth.classes else None,
        )
