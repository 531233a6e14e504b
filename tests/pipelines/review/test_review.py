"""People's findings: kept, asked for where they are worth most, measured, exchanged, and turned into labels."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner
from view_runs import HOST, Looking, a_view_run, labeled_rows

from stepforge.cli import app
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import PeopleRule, digest_up_to, prior, standing, updated
from stepforge.pipelines.review.agreement import cohens_kappa, disputed, review_figures
from stepforge.pipelines.review.exchange import export_items, import_findings
from stepforge.pipelines.review.findings import add_findings, findings_file, read_findings
from stepforge.pipelines.review.formats.label_studio import CONFIG
from stepforge.pipelines.review.queue import (
    build_queue,
    labeled_error,
    next_doubt,
    read_queue,
    save_queue,
    suspected_reference,
)
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.review import Finding, StepFinding

OWN_PAGE = {"Origin": HOST}


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return labeled_rows(12)


@pytest.fixture
def layout(rows: list[LabeledProblem], tmp_path: Path) -> Layout:
    return a_view_run(tmp_path / "run", rows)


@pytest.fixture
def client(layout: Layout) -> Iterator[TestClient]:
    save_queue(layout, build_queue(layout, 20))
    with Looking(layout) as client:
        yield client


def a_finding(step: int | None = 0, finding: Finding = "right", reviewer: str = "anna", **more: object) -> StepFinding:
    known = {"problem_id": "p", "solution_id": "s", "step": step, "finding": finding, "reviewer": reviewer, "at": "now"}
    return StepFinding.model_validate(known | more)


def on(row: LabeledProblem, place: int, step: int, finding: Finding, reviewer: str = "anna") -> StepFinding:
    rollout = row.solutions[place].rollout
    digest = digest_up_to(rollout, step)
    return a_finding(step, finding, reviewer, problem_id=row.problem.id, solution_id=rollout.id, text_digest=digest)


def test_findings_are_added_and_survive_a_line_cut_short(layout: Layout) -> None:
    first, second = a_finding(0), a_finding(1, note="with\nlines \u2028 and \U0001f600")
    assert read_findings(layout).all == []
    add_findings(layout, [first])
    with findings_file(layout).open("ab") as file:
        file.write(b'{"problem_id": "p", "solu')  # a crash in the middle of a line
    add_findings(layout, [second])
    found = read_findings(layout)
    assert found.all == [first, second] and found.unreadable == 1


def test_a_link_in_place_of_the_file_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    findings_file(layout).parent.mkdir()
    findings_file(layout).symlink_to(victim)
    with pytest.raises(Exception, match="symbolic link"):
        add_findings(layout, [a_finding()])
    assert victim.read_text() == "mine"


def test_a_finding_moves_the_belief_as_bayes_says() -> None:
    belief = [0.2, 0.3, 0.1, 0.4]  # three steps, and no error
    wrong = updated(belief, [a_finding(1, "wrong")], {})
    by_hand = [0.2 * 0.7, 0.3 * 0.95, 0.1 * 0.05, 0.4 * 0.05]
    assert wrong == pytest.approx([p / sum(by_hand) for p in by_hand])
    right = updated(belief, [a_finding(1, "redundant")], {"anna": 0.1})
    by_hand = [0.2 * 0.3, 0.3 * 0.1, 0.1 * 0.9, 0.4 * 0.9]
    assert right == pytest.approx([p / sum(by_hand) for p in by_hand])
    weak = updated(belief, [a_finding(None, "wrong", origin="usage")], {})
    by_hand = [0.2 * 0.65, 0.3 * 0.65, 0.1 * 0.65, 0.4 * 0.35]
    assert weak == pytest.approx([p / sum(by_hand) for p in by_hand])


def test_the_doubt_is_where_an_answer_changes_most() -> None:
    doubt = next_doubt([0.45, 0.01, 0.44, 0.1], None)
    assert doubt is not None and doubt.step in (0, 2) and doubt.value > 0.4
    assert next_doubt([0.01, 0.97, 0.01, 0.01], 1) is None
    again = next_doubt([0.45, 0.01, 0.44, 0.1], 0, asked={doubt.step})
    assert again is not None and again.step != doubt.step


def test_the_queue_begins_with_what_is_worth_most_and_hides_its_gold(
    layout: Layout, rows: list[LabeledProblem]
) -> None:
    queue = build_queue(layout, 12)
    asked = [item for item in queue.items if item.gold is None]
    assert [item.value for item in asked] == sorted((item.value for item in asked), reverse=True)
    worth = {}
    for row in rows:
        for solution in row.solutions:
            doubt = next_doubt(prior(solution), labeled_error(solution))
            worth[solution.rollout.id] = doubt.value if doubt else 0.0
    left = [
        worth[s.rollout.id] for r in rows for s in r.solutions if s.rollout.id not in {i.solution_id for i in asked}
    ]
    assert asked[0].value == pytest.approx(max(worth.values()), abs=1e-4)
    assert asked[-1].value >= max(left) - 1e-4
    gold = [item for item in queue.items if item.gold]
    assert gold
    for item in gold:
        row = next(r for r in rows if r.problem.id == item.problem_id)
        classes = oracle_verdict(row.problem, row.solutions[item.solution].rollout).classes
        assert classes is not None and classes[item.step] == item.gold
    assert build_queue(layout, 12) == queue


def test_solutions_that_agree_on_another_answer_make_the_reference_suspect(rows: list[LabeledProblem]) -> None:
    def answering(*answers: str) -> LabeledProblem:
        row = rows[0]
        solutions = tuple(
            s.model_copy(
                update={
                    "rollout": s.rollout.model_copy(
                        update={"answer": answer, "outcome": "correct" if answer == "1" else "wrong"}
                    )
                }
            )
            for s, answer in zip(row.solutions, answers, strict=True)
        )
        return row.model_copy(update={"solutions": solutions})

    assert suspected_reference(answering("2", "2", "2", "3")) == 0.75
    assert suspected_reference(answering("2", "2", "1", "1")) == 0
    assert suspected_reference(answering("2", "3", "4", "5")) == 0


def test_ten_steps_are_reviewed_and_all_is_there_after_a_new_start(layout: Layout, client: TestClient) -> None:
    page = client.get("/review")
    given = 0
    while given < 10:
        number = int(page.url.path.rpartition("/")[2])
        step = int(page.text.partition('data-step="')[2].partition('"')[0])
        sent = {"step": step, "finding": "wrong" if given % 3 == 0 else "right", "seconds": 1.5, "shown": ["reference"]}
        answer = client.post(f"/review/{number}/finding", json=sent, headers=OWN_PAGE)
        assert answer.status_code == 200
        given += 1
        found = read_findings(layout).all
        assert len(found) == given and (found[-1].reviewer, found[-1].seconds) == ("anna", 1.5)
        assert found[-1].text_digest and found[-1].shown == ("reference",)
        page = client.get(answer.json()["next"])
    with Looking(layout) as again:
        here = again.get("/review")
        assert here.url.path not in ("/review", "/review/1")
        assert "10 findings" in here.text
    with Looking(layout, "ben") as other:
        assert other.get("/review").url.path == "/review/1"


def test_the_review_page_shows_no_label_and_no_gold(layout: Layout, client: TestClient) -> None:
    queue = read_queue(layout)
    assert queue is not None
    for number, item in enumerate(queue.items, 1):
        page = client.get(f"/review/{number}").text
        assert "gold" not in page and "oracle" not in page
        assert all("hidden" in part for part in page.split('class="opinions labels"')[1:] for part in [part[:20]])
        assert f"Is step {item.step + 1} right?" in page


@pytest.mark.parametrize(
    "sent",
    [{}, {"step": 99, "finding": "right", "seconds": 1}, {"step": 0, "finding": "perhaps", "seconds": 1}, [], "x"],
)
def test_what_is_no_finding_is_refused_and_not_kept(layout: Layout, client: TestClient, sent: object) -> None:
    assert client.post("/review/1/finding", json=sent, headers=OWN_PAGE).status_code == 400
    assert client.post("/review/99/finding", json={}, headers=OWN_PAGE).status_code == 400
    assert read_findings(layout).all == []


def test_a_full_disk_is_told_and_nothing_is_confirmed(
    layout: Layout, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    sent = {"step": 0, "finding": "right", "seconds": 1}
    answer = client.post("/review/1/finding", json=sent, headers=OWN_PAGE)
    assert answer.status_code == 507 and "No space left" in answer.json()["error"]


def test_the_last_word_counts_and_a_settled_dispute_is_settled() -> None:
    said = [a_finding(0, "right"), a_finding(0, "wrong"), a_finding(1, "right"), a_finding(1, "withdrawn")]
    assert [one.finding for one in standing(said)] == ["wrong"]
    dispute = [a_finding(0, "right", "anna"), a_finding(0, "wrong", "ben")]
    assert list(disputed(dispute)) == [("p", "s", 0)]
    settled = [*dispute, a_finding(0, "wrong", "carol", adjudicates=True)]
    assert disputed(settled) == {}
    assert [one.reviewer for one in standing(settled)] == ["carol"]


def test_disputed_steps_are_settled_by_a_third(layout: Layout, rows: list[LabeledProblem]) -> None:
    save_queue(layout, build_queue(layout, 8))
    queue = read_queue(layout)
    assert queue is not None
    item = next(item for item in queue.items if not item.gold)
    row = next(r for r in rows if r.problem.id == item.problem_id)
    said = [on(row, item.solution, item.step, "right", "anna"), on(row, item.solution, item.step, "wrong", "ben")]
    add_findings(layout, said)
    with Looking(layout, "carol", adjudicates=True) as client:
        page = client.get("/review")
        assert page.url.path == "/review/1" and "anna: right" in page.text and "ben: wrong" in page.text
        sent = {"step": item.step, "finding": "wrong", "seconds": 3}
        assert client.post("/review/1/finding", json=sent, headers=OWN_PAGE).json() == {"next": "/review/done"}
    found = read_findings(layout).all
    assert found[-1].adjudicates and disputed(found) == {}
    assert [one.reviewer for one in standing(found)] == ["carol"]


def test_kappa_by_hand() -> None:
    pairs = [("right", "right")] * 20 + [("right", "wrong")] * 5 + [("wrong", "right")] * 10 + [("wrong", "wrong")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)  # 0.7 agree, 0.5 by chance
    assert cohens_kappa([("right", "right")]) is None
    said = [a_finding(i, a, "anna") for i, (a, _) in enumerate(pairs)]  # type: ignore[arg-type]
    said += [a_finding(i, b, "ben") for i, (_, b) in enumerate(pairs)]  # type: ignore[arg-type]
    (pair,) = review_figures(said, None).pairs
    assert (pair.steps, pair.kappa) == (50, 0.4)


def test_gold_measures_the_reviewer(layout: Layout) -> None:
    queue = build_queue(layout, 20)
    gold = [item for item in queue.items if item.gold]
    said = [a_finding(item.step, "wrong", problem_id=item.problem_id, solution_id=item.solution_id) for item in gold]
    (figures,) = review_figures(said, queue).reviewers
    missed = sum(item.gold == "right" for item in gold)
    assert (figures.gold, figures.mistakes) == (len(gold), (missed + 1) / (len(gold) + 20))


def test_people_change_the_labels_they_speak_of_and_no_others(layout: Layout, rows: list[LabeledProblem]) -> None:
    row = next(r for r in rows if r.solutions[0].verdict.first_error is None and len(r.solutions[0].rollout.steps) > 2)
    said = [on(row, 0, 1, "wrong", name) for name in ("anna", "ben")] + [on(row, 0, 0, "right")]
    rule = PeopleRule(findings=tuple(said))
    verdict = rule.verdict_on(row.problem.id, row.solutions[0])
    assert verdict is not None and (verdict.labeler, verdict.first_error) == ("people", 1)
    assert rule.verdict_on(row.problem.id, row.solutions[1]) is None
    other_words = [one.model_copy(update={"text_digest": "0" * 32}) for one in said]
    assert PeopleRule(findings=tuple(other_words)).verdict_on(row.problem.id, row.solutions[0]) is None
    reference = a_finding(None, "reference_wrong", problem_id=row.problem.id)
    for solution in row.solutions:
        withdrawn = PeopleRule(findings=(reference,)).verdict_on(row.problem.id, solution)
        assert withdrawn is not None and withdrawn.abstained


def test_relabel_applies_the_findings_and_says_what_changed(layout: Layout, rows: list[LabeledProblem]) -> None:
    nothing = CliRunner().invoke(app, ["relabel", str(layout.folder), "--rule", "people"])
    assert nothing.exit_code == 2
    row = next(r for r in rows if r.solutions[0].verdict.first_error is None and len(r.solutions[0].rollout.steps) > 2)
    add_findings(layout, [on(row, 0, 1, "wrong", name) for name in ("anna", "ben")])
    done = CliRunner().invoke(app, ["relabel", str(layout.folder), "--rule", "people"])
    assert done.exit_code == 0, done.output
    report = json.loads((layout.folder / "relabeled" / "people" / "report.json").read_text())
    assert report["reviewed"] == {"solutions": 1, "changed": 1, "withdrawn": 0}
    assert f"people looked at 1 of {4 * len(rows)} solutions and changed 1 labels" in done.output


@pytest.mark.parametrize("name", ["label_studio", "argilla", "prm800k"])
def test_what_goes_out_comes_back(layout: Layout, rows: list[LabeledProblem], tmp_path: Path, name: str) -> None:
    save_queue(layout, build_queue(layout, 6))
    queue = read_queue(layout)
    assert queue is not None
    item = queue.items[0]
    row = next(r for r in rows if r.problem.id == item.problem_id)
    before = [on(row, item.solution, step, "right") for step in range(item.step)]
    before.append(on(row, item.solution, item.step, "wrong"))
    add_findings(layout, before)
    file = tmp_path / "out.json"
    export_items(layout, queue, file, name)
    if name == "argilla":  # it goes out without findings; a person answers there
        records = json.loads(file.read_text())
        for record in records:
            about = record["metadata"]
            if (about["problem_id"], about["solution_id"]) == (item.problem_id, item.solution_id):
                said = "wrong" if about["step"] == item.step + 1 else "right"
                record["responses"] = {"finding": [{"value": said, "user_id": "7d0"}]}
        file.write_text(json.dumps(records))
    findings_file(layout).unlink()
    done = import_findings(layout, file, name)
    assert (done.added, done.known, done.elsewhere) == (len(before), 0, 0)
    found = read_findings(layout).all
    facts = [(one.solution_id, one.step, one.finding, one.text_digest) for one in found]
    assert sorted(facts) == sorted((one.solution_id, one.step, one.finding, one.text_digest) for one in before)
    assert {one.origin for one in found} == {name}
    assert import_findings(layout, file, name)[:2] == (0, len(before))
    with pytest.raises(BadInput, match="already"):
        export_items(layout, queue, file, name)


def test_the_labeling_interface_names_what_is_exported() -> None:
    from xml.etree.ElementTree import fromstring

    names = {element.get("name") for element in fromstring(CONFIG).iter()}
    assert {"question", "step_{{idx}}", "finding_{{idx}}", "reference", "note"} <= names


def test_prm800k_lines_from_elsewhere_are_matched_by_their_words(
    layout: Layout, rows: list[LabeledProblem], tmp_path: Path
) -> None:
    row = rows[2]
    texts = [step.text.strip() for step in row.solutions[1].rollout.steps]
    choices = [
        {"completions": [{"text": t, "rating": 1}, {"text": "no", "rating": -1}], "chosen_completion": 0}
        for t in texts[:1]
    ]
    choices.append({"completions": [{"text": texts[1], "rating": -1}], "chosen_completion": None})
    line = {
        "labeler": "e90",
        "timestamp": "2022-07-17",
        "question": {"problem": row.problem.question},
        "label": {"steps": choices},
    }
    strange = line | {"question": {"problem": "another"}}
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in (line, strange)))
    assert import_findings(layout, file, "prm800k", "MIT") == (2, 0, 2)
    found = read_findings(layout).all
    assert [(one.step, one.finding, one.license) for one in found] == [(0, "right", "MIT"), (1, "wrong", "MIT")]


def test_traces_of_use_need_consent_and_license_and_weigh_little(
    layout: Layout, rows: list[LabeledProblem], tmp_path: Path
) -> None:
    row = rows[0]
    event = {
        "problem_id": row.problem.id,
        "solution_id": row.solutions[0].rollout.id,
        "event": "thumb_down",
        "user": "u1",
        "at": "2026-01-01T00:00:00Z",
        "consent": "terms of 2026, section 4",
        "license": "CC-BY-4.0",
    }
    file = tmp_path / "usage.jsonl"
    for missing in ("consent", "license"):
        file.write_text(json.dumps(event | {missing: " "}))
        with pytest.raises(BadInput, match=f"line 1: has no {missing}"):
            import_findings(layout, file, "usage")
    assert read_findings(layout).all == []
    file.write_text(json.dumps(event))
    assert import_findings(layout, file, "usage").added == 1
    (one,) = read_findings(layout).all
    assert one.weak and one.license == "CC-BY-4.0"
    assert review_figures([one], None).steps == 0


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "\x80", '[{"data": 3, "annotations": [{"result": [4]}]}]'])
@pytest.mark.parametrize("name", ["label_studio", "argilla"])
def test_a_file_of_another_kind_is_one_clear_line(layout: Layout, tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(text.encode("latin-1"))
    done = CliRunner().invoke(app, ["review", str(layout.folder), "--import", str(file), "--format", name])
    assert done.exit_code in (0, 2) and "Traceback" not in done.output
    assert read_findings(layout).all == []
