"""Several models in one run: each solves its share, one may complete for all, and names stand in rows and books."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from chaos import run
from chaos_runs import report_of
from command_line import data_bytes, stepforge
from fakes import CharacterEngine, a_problem
from pydantic import ValidationError
from run_files import a_run, settings, write_run_file
from server_runs import labeled_rows

from stepforge.generators.policies import Policies
from stepforge.generators.policy import PolicySettings
from stepforge.labelers.evidence.replay import stored_evidence
from stepforge.pipelines.run.probe import completing
from stepforge.pipelines.settings.run_file import RunFile, runs_by_table
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import Cost
from stepforge.schemas.rollout import Step

STRONG = {"kind": "scripted", "error_rate": 0.01, "recovery_rate": 0.0}
MODELS = ("scripted, no model (errs 0.2, recovers 0)", "scripted, no model (errs 0.01, recovers 0), strong")


def run_file(folder: Path, *, share: float = 0.4, **policy: Any) -> Path:
    ways = [{"name": "strong", "share": share, "engine": "strong", "temperature": 0.8}]
    return write_run_file(
        folder,
        engine={"error_rate": 0.2, "recovery_rate": 0.0},
        engines={"strong": STRONG},
        policy={"answer": "stated", "ways": ways, **policy},
        export=[{"kind": "stepwise"}, {"kind": "search_tree"}],
    )


def exported(folder: Path) -> dict[str, str]:
    """Return the models that rows name, by problem."""
    tables = [pq.read_table(path) for path in (folder / "datasets" / "stepwise").rglob("*.parquet")]
    rows = [row for table in tables for row in table.select(["problem_id", "generation_model"]).to_pylist()]
    return {row["problem_id"]: row["generation_model"] for row in rows}


def test_each_model_solves_and_completes_its_share_and_is_named(tmp_path: Path) -> None:
    run(run_file(tmp_path), tmp_path / "out")
    rows, report = labeled_rows(tmp_path / "out"), report_of(tmp_path / "out")
    assert {row.policy.model for row in rows} == set(MODELS)
    assert exported(tmp_path / "out") == {row.problem.id: row.policy.model for row in rows}
    assert all(
        row.completer is None and row.policy.temperature == (0.8 if "strong" in row.policy.model else 1) for row in rows
    )
    rates = [report["policy"]["pass_rate"][f"policy: {model}"]["pass_rate"] for model in MODELS]
    assert rates[0] < rates[1]
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    spent = {name: Cost.model_validate(cost) for name, cost in ledger["policies"].items()}
    assert sum(spent.values(), Cost()) == Cost.model_validate(ledger["total"])
    by_row = {m: sum(len(r.solutions) + len(r.evidence) for r in rows if r.policy.model == m) for m in MODELS}
    assert {name: cost.rollouts for name, cost in spent.items()} == by_row
    assert MODELS[1] in (tmp_path / "out" / "datasets" / "README.md").read_text()


def test_one_model_completes_what_another_solved(tmp_path: Path) -> None:
    run(run_file(tmp_path, share=0, completer="strong"), tmp_path / "out")
    rows = labeled_rows(tmp_path / "out")
    for row in rows:
        assert (row.policy.model, row.completer and row.completer.model) == MODELS
        assert not stored_evidence(row).root and not row.sampled  # another's solutions are no samples of the completer
    right = [r.outcome == "correct" for row in rows for r in row.evidence if r.start and r.start.steps == 0]
    assert sum(right) > 0.8 * len(right) > 0
    assert set(exported(tmp_path / "out").values()) == {f"{MODELS[0]}; completed by {MODELS[1]}"}
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert ledger["policies"][MODELS[1]]["rollouts"] == sum(len(row.evidence) for row in rows)


def test_a_completer_is_given_the_text_of_another_models_tokens() -> None:
    """Tokens of two models are not the same; those of one model, asked in another way, are."""
    ways = [{"name": "other", "share": 0, "engine": "b"}, {"name": "terse", "share": 0, "prompt": "Short: {question}"}]
    step, problem = Step(text="so 4\n", token_ids=(7, 8)), a_problem("1")
    for completer, tail in (("other", tuple(map(ord, "so 4\n"))), ("terse", (7, 8))):
        settings = PolicySettings.model_validate({"ways": ways, "completer": completer})
        policies = Policies({"engine": CharacterEngine("a"), "engines.b": CharacterEngine("b")}, settings)
        asked = policies.completing(problem)
        assert asked.identity.model == f"{'b' if completer == 'other' else 'a'}, {completer}"
        assert asked.prompt(problem, (step,)).token_ids[-len(tail) :] == tail
        assert policies.solving(problem).identity.model == "a"
        assert policies.solving(problem, supplied=True).prompt(problem, (step,)).token_ids[-2:] == (7, 8)


def test_a_server_that_cannot_continue_may_write_what_another_completes() -> None:
    server = {"kind": "server", "api": "chat", "goes_on": "never"}
    ways = [{"name": "strong", "share": 0, "engine": "strong"}]
    for completer, asked in (
        (None, {"engine": 1, "engines.strong": 1}),
        ("strong", {"engine": 0, "engines.strong": 1}),
    ):
        policy = {"chat": True, "ways": ways, "completer": completer}
        run = RunFile.model_validate({**settings(), "engine": server, "engines": {"strong": STRONG}, "policy": policy})
        assert {table: len(completing(one)) for table, one in runs_by_table(run).items()} == asked


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"engines": {"big": STRONG}}, "engines.big: is not used by any"),
        ({"policy": {"ways": [{"name": "big", "share": 0.5, "engine": "big"}]}}, "engines.big: policy.ways use it"),
        ({"policy": {"completer": "big"}}, "not one of the ways"),
        ({"engines": {"": STRONG}, "policy": {"ways": [{"name": "big", "share": 0.5, "engine": ""}]}}, "pattern"),
    ],
)
def test_names_without_a_table_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        a_run(**changes)


@pytest.mark.slow
def test_under_ray_it_is_estimated_run_and_made_again_as_it_was(tmp_path: Path) -> None:
    path = run_file(tmp_path, completer="strong")
    estimated = stepforge("estimate", path, "--problems-in-pilot", 8, "--json")
    assert estimated.returncode == 0, estimated.stderr
    assert json.loads(estimated.stdout)["figures"]["label: omega_prm.rollouts"]["estimate"] > 0
    first = stepforge("run", path, "--out", tmp_path / "out")
    assert first.returncode == 0, first.stderr
    before = data_bytes(tmp_path / "out")
    Layout(tmp_path / "out").shard("label", 1).unlink()
    again = stepforge("run", path, "--out", tmp_path / "out")
    assert again.returncode == 0, again.stderr
    assert data_bytes(tmp_path / "out") == before
