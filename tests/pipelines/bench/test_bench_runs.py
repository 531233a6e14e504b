"""The labeler bench as a whole, on the scripted engine, and its settings files."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from command_line import stepforge

from stepforge.pipelines.bench.page import bench_page
from stepforge.pipelines.bench.settings import read_bench_file
from stepforge.schemas.errors import BadInput

REPOSITORY = Path(__file__).parents[3]
CONTRACT = (
    "first_error_accuracy",
    "correct_solution_accuracy",
    "f1_wrong_answers",
    "f1_all_erroneous",
    "abstained",
    "asked",
    "rollouts_per_solution",
    "generated_tokens_per_solution",
    "uncached_tokens_per_solution",
    "total_tokens_per_solution",
)


@pytest.fixture(scope="module")
def bench_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def recorded(smoke: dict[str, Any], bench_folder: Path) -> Path:
    return bench_folder / "out" / "recording"


@pytest.fixture(scope="module")
def smoke(bench_folder: Path) -> dict[str, Any]:
    folder = bench_folder
    result = stepforge(
        "bench", "labelers", "--smoke", "--json", "--out", folder / "out", "--results", folder, cwd=REPOSITORY
    )
    assert result.returncode == 0, result.stderr
    written: dict[str, Any] = json.loads((folder / "labelers_smoke.json").read_text())
    assert written == json.loads(result.stdout)
    ElementTree.parse(folder / "labelers_smoke.svg")
    assert (folder / "labelers_smoke.md").read_text() == bench_page(written) + "\n"
    return written


@pytest.mark.slow
def test_the_smoke_bench_has_every_row_of_the_contract(smoke: dict[str, Any]) -> None:
    names = {row["labeler"] for row in smoke["rows"]}
    assert {"math_shepherd", "omega_prm, curtailed", "sprt", "sequential", "amcs", "epic_prm", "change_point"} <= names
    assert {"control: number that no right solution states", "control: least expected step"} <= names
    for row in smoke["rows"]:
        whole = (row["left_out"], row["stratum"]) == ("each in turn", "all")
        for key in CONTRACT if whole else ("first_error_accuracy",):
            interval = row[f"{key}_interval"]
            assert interval is None or interval[0] <= row[key] + 1e-6
            assert interval is None or row[key] <= interval[1] + 1e-6


@pytest.mark.slow
def test_each_family_is_left_out_in_turn(smoke: dict[str, Any]) -> None:
    assert set(smoke["problems"]) == {"sequence", "quantities"}
    assert {row["left_out"] for row in smoke["rows"]} == {"each in turn", "sequence", "quantities"}
    assert {row["wording"] for row in smoke["rows"]} == {"plain"}
    whole = {row["problems"] for row in smoke["rows"] if (row["left_out"], row["stratum"]) == ("each in turn", "all")}
    assert whole == {sum(smoke["problems"].values())}
    assert smoke["values"]
    assert {one["labeler"] for one in smoke["coverage"]} >= {"change_point"}
    assert {"labeler", "rival", "difference", "low", "high", "token_ratio"} <= set(smoke["primary"])
    assert smoke["primary"]["rival"] in {"omega_prm, curtailed", "sprt"}
    assert smoke["comparisons"]


@pytest.mark.slow
def test_a_finished_run_is_replayed_as_well(tmp_path: Path, recorded: Path) -> None:
    result = stepforge(
        "bench", "labelers", "--smoke", "--json", "--recording", recorded, "--results", tmp_path, cwd=REPOSITORY
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["values"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("bootstrap = 100", "bootstrap = 1"), "bootstrap: "),
        (('kind = "amcs"', 'kind = "amsc"'), "amsc"),
        (("[values]", "[valeus]"), "valeus"),
        (("at = 16 }\n", "at = 17 }\n"), "primary: change_point at 17 is not swept"),
        (("error_rate = 0.1", "eror_rate = 0.1"), "recording: engine.eror_rate: unknown setting"),
    ],
)
def test_bad_bench_settings_are_one_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = (REPOSITORY / "pipelines/bench/labelers_smoke.toml").read_text()
    assert change[0] in text
    (tmp_path / "bench.toml").write_text(text.replace(*change, 1))
    with pytest.raises(BadInput, match=said):
        read_bench_file(tmp_path / "bench.toml")


def test_the_full_benchs_settings_are_valid() -> None:
    bench = read_bench_file(REPOSITORY / "pipelines/bench/labelers.toml")
    assert len(bench.seeds) >= 3
    assert bench.values is not None
    assert bench.values.truth >= 128
