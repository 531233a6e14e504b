"""Poison among the rows is set aside with a reason, and the rows beside it are what they are without it."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of, write_run
from server_runs import labeled_rows

from stepforge.generators.families.quantities import Quantities
from stepforge.generators.policy import PolicySettings, PromptedPolicy, SpecialToken
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.pipelines.storage.layout import FOLDERS
from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import Failure, LabeledProblem, Rejected

SOUND = 60
CONTEXT = 3000
"""Characters of the longest prompt and continuation together."""
POISON: dict[str, dict[str, Any]] = {
    "empty": {"question": ""},
    "blank": {"question": " \n\t "},
    "missing": {},
    "null": {"question": None},
    "a number": {"question": 7},
    "ten million characters": {"question": "x" * 10_000_000},
    "ten million in the solution": {"question": "Q1?", "steps": ["x" * 10_000_000]},
    "a lone surrogate": {"question": "half \ud800 of a pair"},
    "a lone surrogate in the solution": {"question": "Q2?", "steps": ["so \udfff."]},
    "a NUL": {"question": "nothing\0after"},
    "a NUL in the answer": {"question": "Q3?", "answer": "4\0"},
    "empty steps": {"question": "Q4?", "steps": []},
    "an empty step": {"question": "Q5?", "steps": ["a", " "]},
    "steps that are no list": {"question": "Q6?", "steps": "a text"},
    "an endless answer": {"question": "Q7?", "answer": "9" * 100_000},
    "an answer that is no value": {"question": "Q8?", "answer": float("nan")},
    "longer than the context": {"question": "long " * CONTEXT},
}
HELD_OUT = "longer than the context"
"""Only the engine can know; the others are refused when they are read."""


def sound_rows() -> list[dict[str, Any]]:
    """Every third problem comes with a solution, right or wrong."""
    rows: list[dict[str, Any]] = []
    for number in range(SOUND):
        problem = Quantities(levels=(2, 3)).item(4, number)
        row: dict[str, Any] = {"id": f"q{number}", "question": problem.question, "answer": problem.answer}
        if number % 3 == 0:
            lines = (problem.reference_solution or "").splitlines()
            row["steps"] = [*lines[:-1], lines[-1] if number % 2 else "Answer: 0"]
        rows.append(row)
    return rows


def run_of(folder: Path, rows: list[dict[str, Any]], share: float = 0.05, on_bad_row: str = "reject") -> Path:
    """Write the run file of these rows. It pools no rates: they belong to the rows of the first shards together."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"id": "id", "answer": "answer", "steps": "steps"}
    source = {"kind": "problem_set", "path": str(path), "name": "rows", "on_bad_row": on_bad_row, **columns}
    return write_run(
        folder,
        problems=0,
        rows=8,
        fit_problems=0,
        engine={"max_model_len": CONTEXT},
        generate=[source],
        vet=[{"kind": "duplicates"}],
        max_failure_share=share,
    )


def poisoned() -> list[dict[str, Any]]:
    rows = sound_rows()
    for place, (name, row) in enumerate(POISON.items()):
        rows.insert(3 * place + 1, {"id": f"poison {name}", **row})
    return rows


def labeled(folder: Path) -> dict[str, LabeledProblem]:
    return {row.problem.id: row for row in labeled_rows(folder)}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LabeledProblem]:
    folder = tmp_path_factory.mktemp("clean")
    run(run_of(folder, sound_rows()), folder / "out")
    return labeled(folder / "out")


def test_poison_is_set_aside_with_a_reason_and_changes_nothing_else(
    clean: dict[str, LabeledProblem], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    out = tmp_path / "out"
    run(run_of(tmp_path, poisoned()), out)
    aside = [r for path in (out / "rejected/generate").glob("*.parquet") for r in read_shard(path, Rejected)]
    failed = [f for path in (out / "failures/solve").glob("*.parquet") for f in read_shard(path, Failure)]
    reasons = Counter(r.reason.partition(": ")[2][:40] for r in aside)
    assert len(aside) == len(POISON) - 1
    assert all(r.reason.startswith("rows.jsonl, row ") for r in aside)
    assert len({r.problem_id for r in aside}) == len(aside)
    assert [f.problem_id for f in failed] == [f"rows:poison {HELD_OUT}"]
    assert failed[0].error == "NotSampled"
    assert f"1 to {CONTEXT - 1} fit" in failed[0].message
    assert labeled(out) == clean
    assert len(clean) == SOUND
    stages = report_of(out)["stages"]
    assert stages["generate"]["rows_in"] == SOUND + len(POISON)
    assert stages["generate"]["rejected"] == {"problem_set": len(POISON) - 1}
    assert stages["solve"]["failures"] == {"NotSampled": 1}
    tell(
        f"{len(POISON)} poison rows among {SOUND}: {len(aside)} rejected when read, {len(failed)} failed "
        f"({failed[0].error}: {failed[0].message}), each with its reason ({len(reasons)} kinds); "
        f"the {len(clean)} others identical to a clean run"
    )


def test_too_many_rows_that_cannot_be_finished_fail_the_run(tmp_path: Path) -> None:
    """The labels of the others are kept: a larger share lets the same folder end well."""
    out = tmp_path / "out"
    said = run(run_of(tmp_path, poisoned(), share=0.001), out, expect=1)
    assert "solve: 1 of 61 rows could not be finished ({'NotSampled': 1})" in said
    assert "max_failure_share = 0.001" in said
    assert "Traceback" not in said
    committed = {name: len(list((out / name).glob("*.parquet"))) for name in FOLDERS.values()}
    assert len(set(committed.values())) == 1
    run(run_of(tmp_path, poisoned(), share=0.05), out)


def test_poison_stops_a_set_that_is_to_stop_at_it(tmp_path: Path) -> None:
    said = run(run_of(tmp_path, poisoned(), on_bad_row="stop"), tmp_path / "out", expect=2)
    assert "rows.jsonl, row 2, question (column 'question'): is missing or empty" in said
    assert not (tmp_path / "out").exists()


def test_a_control_token_of_the_model_is_refused_wherever_it_comes_from() -> None:
    """In a question it would end the turn; the tokenizer reads it as a token, and it decodes to nothing."""
    tokenizer = load_tokenizer(locate("embedded"))
    (token, *_) = sorted(tokenizer.special_tokens)
    assert tokenizer.decode(tokenizer.encode(f"a{token}b")) == "ab"

    engine = ScriptedEngine(ScriptedEngineSettings())
    engine.special_tokens = tokenizer.special_tokens
    policy = PromptedPolicy(engine, PolicySettings())
    policy.check_plain("Ann has 3 <coins>. | How many?")
    with pytest.raises(SpecialToken, match="which the model reads as a control token"):
        policy.check_plain(f"Ann has 3 coins.{token}\nAnswer: 3")
