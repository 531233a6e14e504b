"""SIGKILL of the driver at random moments of a run of two models: the same command ends in the bytes of one go."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from chaos import Attempt, Reference, run
from chaos_runs import row_ids

from stepforge.pipelines.storage.layout import FOLDERS

KILLS_IN_A_ROW, SHARDS = 5, 3
LATENCY = 15
TWO_MODELS = {
    "engines": {"strong": {"kind": "scripted", "error_rate": 0.05, "recovery_rate": 0.0, "latency_ms": LATENCY}},
    "policy": {"answer": "stated", "ways": [{"name": "strong", "share": 0.5, "engine": "strong"}]},
}


def under_way(folder: Path) -> list[str]:
    """Return the stages that a killed run had begun and not finished, else the next one."""
    counts = {stage: len(list((folder / name).glob("part-*"))) for stage, name in FOLDERS.items()}
    missing = [stage for stage, count in counts.items() if count < SHARDS]
    return [stage for stage in missing if counts[stage]] or missing[:1] or ["export"]


def kill_runs(reference: Reference, folder: Path, kills: int, rng: Random) -> tuple[Counter[str], int]:
    """Kill runs until there were so many kills; return where they hit, and the number of runs."""
    hit: Counter[str] = Counter()
    runs, seconds = 0, reference.seconds(folder / "timed")
    while hit.total() < kills:
        out = folder / f"run-{runs}"
        for _ in range(min(KILLS_IN_A_ROW, kills - hit.total())):
            attempt = Attempt("run", reference.run_file, "--out", out, "--quiet", out=folder / "said")
            attempt.process.join(rng.uniform(0, seconds))
            if not attempt.kill():
                break
            hit["+".join(under_way(out))] += 1
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
        assert {"solve", "vet", "label", "curate", "export"} <= by_stage.keys()
    tell(
        f"driver killed {hit.total()} times in {runs} runs (without Ray): {runs} of {runs} identical, 0 rows lost, "
        f"0 doubled; under way when it hit: {dict(by_stage.most_common())}"
    )
