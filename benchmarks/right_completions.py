"""How often a right solution has a wrong step by the truth: labeled ones, and completions that labeling came upon.

``python -m benchmarks.right_completions RUN`` reads the labeled rows of a run on procedural problems.
"""

import sys
from collections import Counter
from pathlib import Path

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.exports.right_paths import Pick, paths_of, picked
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import LabeledProblem

PICKS: tuple[Pick, ...] = ("best", "diverse")
MOST = 4


def counted(folder: Path) -> dict[str, Counter[bool]]:
    """Return whether each right solution has a wrong step, by how it was found; completions unchecked."""
    found: dict[str, Counter[bool]] = {name: Counter() for name in ("labeled", *PICKS)}
    for path in Layout(folder).shards("label"):
        for problem in read_rows(path, LabeledProblem):
            paths = paths_of(problem, checked=False)
            for pick in PICKS:
                for one in picked(paths, pick, MOST):
                    if one.labeled and pick != PICKS[0]:
                        continue
                    rollout = problem.solutions[0].rollout.model_copy(update={"steps": one.steps, "outcome": "correct"})
                    wrong = oracle_verdict(problem.problem, rollout).first_error is not None
                    found["labeled" if one.labeled else pick][wrong] += 1
    return found


def main() -> None:
    """Print a line for each way of finding them."""
    for name, counts in counted(Path(sys.argv[1])).items():
        if counts.total():
            low, high = wilson(counts[True], counts.total())
            share = counts[True] / counts.total()
            print(
                f"{name}: {counts[True]} of {counts.total()} with a wrong step, {share:.3f} ({low:.3f} to {high:.3f})"
            )


if __name__ == "__main__":
    main()
