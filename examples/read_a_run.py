"""Open a run folder: its problems, its steps as a table, one of its data sets. Give the folder, e.g. runs/demo."""

import sys

import polars

import stepforge


def main(folder: str) -> None:
    """Print what is in the run."""
    run = stepforge.Run(folder)
    wrong = [s for row in run.problems(evidence=False) for s in row.solutions if s.verdict.first_error is not None]
    print(f"{len(wrong)} solutions with a first error")
    steps = run.steps()
    print(steps.group_by("outcome").agg(polars.len(), polars.col("trials").sum()).sort("outcome"))
    print(run.dataset("stepwise"))


if __name__ == "__main__":
    main(sys.argv[1])
