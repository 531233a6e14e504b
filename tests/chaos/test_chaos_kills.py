"""SIGKILL of the driver at random moments of a run of two models: the same command ends in the bytes of one go."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from chaos import Attempt, Reference, Whereabouts, run
from chaos_runs import row_ids

KILLS_IN_A_ROW = 5
LATENCY = 15
TWO_MODELS = {
    "engines": {"strong": {"kind": "scripted", "error_rate": 0.05, "recovery_rate": 0.0, "latency_ms": LATENCY}},
    "policy": {"answer": "stated", "ways": [{"name": "strong", "share": 0.5, "engine": "strong"}]},
}


def kill_runs(reference: Reference, folder: Path, kills: int, rng: Random) -> tuple[Counter[str], int]:
    """Kill runs until there were so many kills; return where they hit, and the number of runs."""
    where = Whereabouts(folder / "where")
    hit: Counter[str] = Counter()
    runs, seconds = 0, reference.seconds(folder / "timed")
    while hit.total() < kills:
        out = folder / f"run-{runs}"
        for _ in range(min(KILLS_IN_A_ROW, kills - hit.total())):
            arguments = ("run", reference.run_file, "--out", out, "--quiet")
            attempt = Attempt(*arguments, out=folder / "said", where=folder / "where")
            attempt.process.join(rng.uniform(0, seconds))
            if not attempt.kill():
                break
            hit["+".join(where.now()) or "between"] += 1
        run(reference.run_file, out)
        reference.check(out)
        ids = row_ids(out)
        assert len(ids) == len(set(ids)) == reference.stages["label"]["rows_out"]
        shutil.rmtree(out)
        runs += 1
    return hit, runs


@pytest.mark.parametrize("kills", [9, pytest.param(480, marks=[pytest.mark.soak, pytest.mark.timeout(5400)])])
def test_a_killed_driver_loses_and_doubles_nothing(tmp_path: Path, kills: int, tell: Callable[[str], None]) -> None:
    reference = Reference(tmp_path, problems=9, latency=LATENCY, **TWO_MODELS)
    hit, runs = kill_runs(reference, tmp_path, kills, Random(kills))
    by_stage = Counter(stage for moment, count in hit.items() for stage in moment.split("+") for _ in range(count))
    assert hit.total() == kills
    if kills > 100:
        assert {"solve", "vet", "label", "curate", "export", "report"} <= by_stage.keys()
    tell(
        f"driver killed {hit.total()} times in {runs} runs (without Ray): {runs} of {runs} identical, 0 rows lost, "
        f"0 doubled; under way when it hit: {dict(by_stage.most_common())}"
    )
