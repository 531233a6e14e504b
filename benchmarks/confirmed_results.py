"""How many right rollouts state a step's result, against people's labels: what ``Rates.results`` and
``Rates.confirmed`` stand for.

    python -m benchmarks.confirmed_results benchmarks/results/mr_gsm8k.parquet [MORE ...]

Takes recordings (runs, or shards of one); counts the wrong solutions in which people marked the first error, all
completions of every prefix, and all steps but the last.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import typer

from stepforge.labelers import ChangePoint
from stepforge.labelers.change_point.rates import NO_RESULT
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.labelers.evidence.store import solution_trajectory
from stepforge.pipelines.bench.bench import recorded_problems
from stepforge.pipelines.terminal.tables import table

PLACES = ("right steps", "first error", "after it")


def shares(recordings: list[Path]) -> dict[str, tuple[list[bool], list[float]]]:
    """Return, by place, whether each step has a result, and what share of right rollouts states it."""
    found: dict[str, tuple[list[bool], list[float]]] = defaultdict(lambda: ([], []))
    for problem in (problem for path in recordings for problem in recorded_problems(path)):
        evidence = stored_evidence(problem.row)
        for solution, truth in zip(problem.row.solutions, problem.truths, strict=True):
            path = solution_trajectory(solution.rollout)
            results = ChangePoint().observed(path, evidence).results
            if path.outcome != "wrong" or truth.first_error is None or results is None:
                continue
            for step, counts in enumerate(results.tolist()[:-1]):
                has, stated = found[PLACES[int(np.sign(step - truth.first_error)) + 1]]
                has.append(tuple(counts) != NO_RESULT)
                stated.extend([counts[0] / counts[1]] if counts[1] > 0 else [])
    return found


def main(recordings: list[Path]) -> None:
    found = shares(recordings)
    rows = (
        (place, f"{np.mean(has):.2f} of {len(has)}", f"{np.mean(stated):.2f}")
        for place, (has, stated) in ((place, found[place]) for place in PLACES)
    )
    print(table(("place", "steps with a result", "right rollouts that state it, mean"), rows))


if __name__ == "__main__":
    typer.run(main)
