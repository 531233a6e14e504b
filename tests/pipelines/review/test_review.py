"""People's findings: kept, asked for where they are worth most, measured, exchanged, and turned into labels."""

import html
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import invoked, refused
from starlette.testclient import TestClient
from view_runs import HOST, Looking, a_finding, on

from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.people_rule import PeopleRule, prior, standing, updated
from stepforge.pipelines.review.agreement import cohens_kappa, disputed, review_figures
from stepforge.pipelines.review.condensed import read_condensed
from stepforge.pipelines.review.findings import add_findings, findings_file, read_findings
from stepforge.pipelines.review.queue import (
    build_queue,
    labeled_error,
    next_doubt,
    read_queue,
    save_queue,
    suspected_reference,
)
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import LabeledProblem

OWN_PAGE = {"Origin": HOST}


@pytest.fixture
def client(layout: Layout) -> Iterator[TestClient]:
    save_queue(layout, build_queue(layout, 20))
    with Looking(layout) as client:
        yield client


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


@pytest.mark.parametrize(
    ("said", "mistakes", "likelihoods"),
    [
        ({"step": 1, "finding": "wrong"}, {}, [0.7, 0.95, 0.05, 0.05]),
        ({"step": 1, "finding": "redundant"}, {"anna": 0.1}, [0.3, 0.1, 0.9, 0.9]),
        ({"step": None, "finding": "wrong", "origin": "usage"}, {}, [0.65, 0.65, 0.65, 0.35]),
    ],
)
def test_a_finding_moves_the_belief_as_bayes_says(
    said: dict[str, object], mistakes: dict[str, float], likelihoods: list[float]
) -> None:
    belief = [0.2, 0.3, 0.1, 0.4]  # three steps, and no error
    by_hand = [p * likely for p, likely in zip(belief, likelihoods, strict=True)]
    found = updated(belief, [a_finding(**said)], mistakes)  # type: ignore[arg-type]
    assert found == pytest.approx([p / sum(by_hand) for p in by_hand])


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
    doubts = {s.rollout.id: next_doubt(prior(s), labeled_error(s)) for row in rows for s in row.solutions}
    worth = {name: doubt.value if doubt else 0.0 for name, doubt in doubts.items()}
    left = [value for name, value in worth.items() if name not in {item.solution_id for item in asked}]
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
        solutions = []
        for solution, answer in zip(rows[0].solutions, answers, strict=True):
            said = {"answer": answer, "outcome": "correct" if answer == "1" else "wrong"}
            solutions.append(solution.model_copy(update={"rollout": solution.rollout.model_copy(update=said)}))
        return rows[0].model_copy(update={"solutions": tuple(solutions)})

    assert suspected_reference(answering("2", "2", "2", "3")) == 0.75
    assert suspected_reference(answering("2", "2", "1", "1")) == 0
    assert suspected_reference(answering("2", "3", "4", "5")) == 0


def test_ten_steps_are_reviewed_and_all_is_there_after_a_new_start(layout: Layout, client: TestClient) -> None:
    page = client.get("/review")
    for given in range(1, 11):
        number = int(page.url.path.rpartition("/")[2])
        step = int(page.text.partition('data-step="')[2].partition('"')[0])
        sent = {"step": step, "finding": "wrong" if given % 3 else "right", "seconds": 1.5, "shown": ["reference"]}
        answer = client.post(f"/review/{number}/finding", json=sent, headers=OWN_PAGE)
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
    assert "there are no findings" in refused("relabel", layout.folder, "--rule", "people")
    row = next(r for r in rows if r.solutions[0].verdict.first_error is None and len(r.solutions[0].rollout.steps) > 2)
    add_findings(layout, [on(row, 0, 1, "wrong", name) for name in ("anna", "ben")])
    code, said = invoked("relabel", layout.folder, "--rule", "people")
    assert code == 0, said
    report = json.loads((layout.folder / "relabeled" / "people" / "report.json").read_text())
    assert report["reviewed"] == {"solutions": 1, "changed": 1, "withdrawn": 0}
    assert f"people reviewed 1 of {4 * len(rows)} solutions and changed 1 label" in said


def test_a_model_condenses_the_queued_steps_and_a_reviewer_sees_who_wrote_it(layout: Layout) -> None:
    code, said = invoked("review", layout.folder, "--top", "9", "--condense")
    assert code == 0 and "condensed: 10 more steps by scripted, no model" in said, said
    assert "condensed: 0 more steps\n" in invoked("review", layout.folder, "--condense")[1]
    texts = read_condensed(layout)
    with Looking(layout) as client:
        page = client.get("/review/1").text
    assert any(html.escape(one.text) in page for one in texts.values())
    assert "checked by nobody" in page and read_findings(layout).all == []
    own = layout.run_file.read_text().replace('kind = "scripted"', 'kind = "somebody.engines:Theirs"')
    layout.run_file.write_text(own)
    assert refused("review", layout.folder, "--condense")
