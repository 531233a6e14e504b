"""The shard plan: every row once, and only ever added to."""

import json
from pathlib import Path
from typing import Any

import pytest
import run_files

from stepforge.pipelines.run_folder.plan import FAMILIES, family_item, plan_shards
from stepforge.pipelines.run_folder.settings_guard import guard_settings
from stepforge.pipelines.settings.digest import content_settings, stage_digest
from stepforge.pipelines.settings.run_file import RunFile, limited
from stepforge.pipelines.settings.run_settings import parse_settings
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput

GENERATE = [{"kind": "sequence"}, {"kind": "quantities", "weight": 3}]


def a_run(**changes: object) -> RunFile:
    return run_files.a_run(**{"problems": 25, "rows_per_shard": 10, "generate": GENERATE, **changes})


def rows(folder: Path, run: RunFile) -> list[int]:
    return [i for shard in plan_shards(run, folder) for i in range(shard.start, shard.stop)]


def test_every_row_is_in_one_shard(tmp_path: Path) -> None:
    assert rows(tmp_path, a_run()) == list(range(25))
    assert [s.index for s in plan_shards(a_run(), tmp_path)] == [0, 1, 2]


def test_a_larger_run_keeps_the_shards_it_has(tmp_path: Path) -> None:
    before = plan_shards(a_run(), tmp_path)
    after = plan_shards(a_run(problems=40), tmp_path)
    assert after[: len(before)] == before
    assert rows(tmp_path, a_run(problems=40)) == list(range(40))


def test_problem_sets_have_shards_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text("".join(json.dumps({"question": f"{i}+1?"}) + "\n" for i in range(12)))
    run = a_run(generate=[*GENERATE, {"kind": "problem_set", "path": str(tmp_path / "set.jsonl")}])
    plan = plan_shards(run, tmp_path)
    assert [(s.source, s.start, s.stop) for s in plan if s.source != FAMILIES] == [(2, 0, 10), (2, 10, 12)]
    few = plan_shards(limited(run, 5), tmp_path / "few")
    assert [(s.source, s.start, s.stop) for s in few] == [(FAMILIES, 0, 5), (2, 0, 5)]


def test_the_mix_follows_the_weights_and_ids_are_unique() -> None:
    problems = [family_item(a_run(), i) for i in range(800)]
    share = sum(p.source == "quantities" for p in problems) / len(problems)
    assert 0.7 < share < 0.8
    assert len({p.id for p in problems}) == 800
    assert family_item(a_run(), 17) == problems[17]


def test_a_folder_belongs_to_one_set_of_settings(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    guard_settings(a_run(), layout)
    guard_settings(a_run(workers={"engine": 4}, problems=30, export=[{"kind": "stepwise"}]), layout)
    assert guard_settings(a_run(problems=30, label=[{"kind": "omega_prm", "k": 3}]), layout) == ["label"]
    assert guard_settings(a_run(problems=30, label=[{"kind": "omega_prm", "k": 3}]), layout) == []
    write_text(layout.shard("solve", 0), "")
    with pytest.raises(BadInput, match="seed"):
        guard_settings(a_run(problems=30, seed=2), layout)
    with pytest.raises(BadInput, match="cannot become 20"):
        guard_settings(a_run(problems=20), layout)


@pytest.mark.parametrize(
    ("kind", "freed"),
    [
        ("vllm", {"kv_cache_gib": 4, "max_num_seqs": 8, "gpu_memory_utilization": 0.5, "request_timeout": 60}),
        ("transformers", {"batch_size": 2, "device": "cpu"}),
        ("server", {"connections": 2, "address": "http://127.0.0.1:9/v1"}),
    ],
)
def test_memory_and_place_of_an_engine_may_change(tmp_path: Path, kind: str, freed: dict[str, Any]) -> None:
    model = {"kind": kind, "model": "m"}
    assert guard_settings(a_run(engine=model), Layout(tmp_path)) == []
    assert guard_settings(a_run(engine=model | freed), Layout(tmp_path)) == []
    assert content_settings(a_run(engine=model | freed)) == content_settings(a_run(engine=model))
    write_text(Layout(tmp_path).shard("solve", 0), "")
    with pytest.raises(BadInput, match=r"engine\.model"):
        guard_settings(a_run(engine=freed | model | {"model": "n"}), Layout(tmp_path))


def test_settings_survive_the_run_folder() -> None:
    import tomllib

    run = a_run(generate=[{"kind": "quantities", "depth": 4, "levels": [1, 6]}], workers={"gpus_per_engine": 0.5})
    assert parse_settings(tomllib.loads(run.toml()), "run.toml") == run


def test_a_scorer_binds_labels_and_solutions_only_where_a_search_goes_by_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    scored = run_files.a_run(scorer={"kind": "surprise"})
    searched = run_files.a_run(scorer={"kind": "surprise"}, solve={"kind": "best_of_n"})
    other = run_files.a_run(scorer={"kind": "surprise", "head": "x"}, solve={"kind": "best_of_n"})
    assert "scorer" not in content_settings(run_files.a_run())
    assert guard_settings(run_files.a_run(), layout) == []
    assert guard_settings(scored, layout) == ["label"]
    assert guard_settings(searched, layout) == ["solve"]
    assert guard_settings(other, layout) == ["solve", "label"]
    assert stage_digest(run_files.a_run(), "solve") == stage_digest(scored, "solve") != stage_digest(searched, "solve")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [{"kind": "reward_model"}]}, "needs a reward model's scores"),
        ({"label": [{"kind": "change_point", "prior": "reward_model"}]}, "needs a reward model's scores"),
        ({"solve": {"kind": "mcts"}}, "its value is a reward model's score"),
        (
            {"solve": {"kind": "beam", "value": "certainty"}, "policy": {"segmenter": {"kind": "sentence"}}},
            "line by line",
        ),
    ],
)
def test_what_reads_scores_needs_a_scorer(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_files.a_run(**changes)
