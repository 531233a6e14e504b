"""Findings in and out of other tools: what goes out comes back, matched by ids or words, and nothing else counts."""

import json
from pathlib import Path

import pytest
from command_line import invoked
from view_runs import on

from stepforge.pipelines.review.agreement import review_figures
from stepforge.pipelines.review.exchange import export_items, import_findings
from stepforge.pipelines.review.findings import add_findings, findings_file, read_findings
from stepforge.pipelines.review.formats import FORMATS
from stepforge.pipelines.review.queue import build_queue
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem


@pytest.mark.parametrize("name", ["label_studio", "argilla", "prm800k"])
def test_what_goes_out_comes_back(layout: Layout, rows: list[LabeledProblem], tmp_path: Path, name: str) -> None:
    queue = build_queue(layout, 6)
    item = queue.items[0]
    row = next(r for r in rows if r.problem.id == item.problem_id)
    before = [on(row, item.solution, step, "right") for step in range(item.step)]
    before.append(on(row, item.solution, item.step, "wrong"))
    add_findings(layout, before)
    file = tmp_path / ("out.jsonl" if name == "prm800k" else "out.json")
    export_items(layout, queue, file, FORMATS[name])
    if name == "argilla":  # it goes out without findings; a person answers there
        records = json.loads(file.read_text())
        for record in records:
            about = record["metadata"]
            if (about["problem_id"], about["solution_id"]) == (item.problem_id, item.solution_id):
                said = "wrong" if about["step"] == item.step + 1 else "right"
                record["responses"] = {"finding": [{"value": said, "user_id": "7d0"}]}
        file.write_text(json.dumps(records))
    findings_file(layout).unlink()
    done = import_findings(layout, file, FORMATS[name])
    assert (done.added, done.known, done.elsewhere) == (len(before), 0, 0)
    found = read_findings(layout).all
    facts = [(one.solution_id, one.step, one.finding, one.text_digest) for one in found]
    assert sorted(facts) == sorted((one.solution_id, one.step, one.finding, one.text_digest) for one in before)
    assert {one.origin for one in found} == {name}
    assert import_findings(layout, file, FORMATS[name])[:2] == (0, len(before))
    with pytest.raises(BadInput, match="already"):
        export_items(layout, queue, file, FORMATS[name])


def test_prm800k_lines_from_elsewhere_are_matched_by_their_words(
    layout: Layout, rows: list[LabeledProblem], tmp_path: Path
) -> None:
    row = rows[2]
    texts = [step.text.strip() for step in row.solutions[1].rollout.steps]
    ratings = ([{"text": texts[0], "rating": 1}, {"text": "no", "rating": -1}], [{"text": texts[1], "rating": -1}])
    choices = [{"completions": some, "chosen_completion": at} for some, at in zip(ratings, (0, None), strict=True)]
    line = {"labeler": "e90", "question": {"problem": row.problem.question}, "label": {"steps": choices}}
    strange = line | {"question": {"problem": "another"}}
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in (line, strange)))
    assert import_findings(layout, file, FORMATS["prm800k"], "MIT") == (2, 0, 2)
    found = read_findings(layout).all
    assert [(one.step, one.finding, one.license) for one in found] == [(0, "right", "MIT"), (1, "wrong", "MIT")]


def test_traces_of_use_need_consent_and_license_and_weigh_little(
    layout: Layout, rows: list[LabeledProblem], tmp_path: Path
) -> None:
    about = {"problem_id": rows[0].problem.id, "solution_id": rows[0].solutions[0].rollout.id, "event": "thumb_down"}
    terms = {"consent": "terms of 2026, section 4", "license": "CC-BY-4.0"}
    event = about | terms | {"user": "u1", "at": "2026-01-01T00:00:00Z"}
    file = tmp_path / "usage.jsonl"
    for missing in ("consent", "license"):
        file.write_text(json.dumps(event | {missing: " "}))
        with pytest.raises(BadInput, match=f"line 1: has no {missing}"):
            import_findings(layout, file, FORMATS["usage"])
    assert read_findings(layout).all == []
    file.write_text(json.dumps(event))
    assert import_findings(layout, file, FORMATS["usage"]).added == 1
    (one,) = read_findings(layout).all
    assert one.weak and one.license == "CC-BY-4.0"
    assert review_figures([one], None).steps == 0


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "\x80", '[{"data": 3, "annotations": [{"result": [4]}]}]'])
@pytest.mark.parametrize("name", ["label_studio", "argilla"])
def test_a_file_of_another_kind_is_one_clear_line(layout: Layout, tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(text.encode("latin-1"))
    code, said = invoked("review", layout.folder, "--import", file, "--format", name)
    assert code in (0, 2) and "Traceback" not in said
    assert read_findings(layout).all == []
