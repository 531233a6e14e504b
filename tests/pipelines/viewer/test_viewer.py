"""The viewer's pages, over HTTP messages: what lists hold, what a problem's pages say."""

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_texts import PAYLOADS
from starlette.testclient import TestClient
from view_runs import Looking, a_view_run, with_texts

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import write_shard
from stepforge.pipelines.viewer.questions import model_of, questions_about
from stepforge.pipelines.viewer.tree_view import Node, tree_of
from stepforge.schemas.labeled import Failure, LabeledProblem, Rejected
from stepforge.schemas.problem import Lineage
from stepforge.schemas.rollout import Repair, SolvedProblem


def ids(page: str) -> list[str]:
    return re.findall(r'<span class="row-head"><b>(.*?)</b>', page)


def test_lists_are_searched_filtered_and_sorted(client: TestClient, rows: list[LabeledProblem]) -> None:
    everything = [row.problem.id for row in rows]
    assert ids(client.get("/").text) == everything
    word = rows[3].solutions[0].rollout.steps[0].text.split()[0]
    texts = [(r, " ".join([r.problem.question, *(s.rollout.text for s in r.solutions)]).lower()) for r in rows]
    with_word = [r.problem.id for r, text in texts if word.lower() in text]
    assert ids(client.get("/", params={"q": word}).text) == with_word
    assert ids(client.get("/", params={"q": f"{word} surely-nowhere"}).text) == []
    assert ids(client.get("/", params={"q": rows[5].problem.id}).text) == [rows[5].problem.id]
    wrong = [r.problem.id for r in rows if any(s.rollout.outcome == "wrong" for s in r.solutions)]
    assert wrong and ids(client.get("/?outcome=wrong").text) == wrong
    for labeler, place in (("change_point", 0), ("math_shepherd", 1)):
        found = [
            r.problem.id
            for r in rows
            if any((s.verdict, *s.others)[place].first_error is not None for s in r.solutions)
        ]
        assert ids(client.get(f"/?labeler={labeler}&verdict=wrong_step").text) == found
    unsure = {r.problem.id: max(1 - max(s.verdict.posterior or (1.0,)) for s in r.solutions) for r in rows}
    by_doubt = ids(client.get("/?sort=uncertainty").text)
    assert [round(unsure[name], 5) for name in by_doubt] == sorted((round(u, 5) for u in unsure.values()), reverse=True)
    half = sorted(unsure.values())[len(unsure) // 2] - 1e-6
    assert set(ids(client.get(f"/?unsure={half}").text)) == {name for name, u in unsure.items() if u >= half}
    differing = [
        r.problem.id
        for r in rows
        if any(len({v.first_error for v in (s.verdict, *s.others) if not v.abstained}) > 1 for s in r.solutions)
    ]
    assert ids(client.get("/?disagree=1").text) == differing


@pytest.mark.parametrize("bad", ["page=0", "page=x", "unsure=much", "sort=sideways", "state=gone", "q=" + "x" * 999])
def test_an_address_that_makes_no_sense_shows_what_does(client: TestClient, bad: str) -> None:
    assert client.get(f"/?{bad}").status_code == 200


def test_lost_problems_are_listed_with_the_reason(rows: list[LabeledProblem], tmp_path: Path) -> None:
    layout = a_view_run(tmp_path / "run", rows[:3])
    solved = [
        SolvedProblem(problem=r.problem, rollouts=tuple(s.rollout for s in r.solutions), policy=r.policy)
        for r in rows[:5]
    ]
    stamp = {"run": "x", "shard": 0, "source": ""}
    write_shard(layout.shard("solve", 0), solved, SolvedProblem, {**stamp, "stage": "solve"})
    dropped = Rejected(problem_id=rows[3].problem.id, filter="difficulty", reason="too hard", row="{}")
    late = Rejected(problem_id=rows[1].problem.id, filter="decided", reason="nothing decided", row="{}")
    failed = Failure(problem_id=rows[4].problem.id, stage="label", error="ValueError", message="<b>words</b>")
    write_shard(layout.rejected("vet", 0), [dropped], Rejected, {**stamp, "stage": "vet"})
    write_shard(layout.rejected("curate", 0), [late], Rejected, {**stamp, "stage": "curate"})
    write_shard(layout.failures("label", 0), [failed], Failure, {**stamp, "stage": "label"})
    with Looking(layout) as client:
        assert ids(client.get("/").text) == [r.problem.id for r in rows[:5]]
        assert ids(client.get("/?state=rejected").text) == [rows[1].problem.id, rows[3].problem.id]
        known = client.get(f"/?state=failed&domain={rows[4].problem.domain}&outcome=wrong").text
        assert ids(known) == ids(client.get("/?state=failed").text) == [rows[4].problem.id]
        assert "difficulty: too hard" in client.get("/problem/solve/0/3").text
        assert "ValueError: &lt;b&gt;words&lt;/b&gt;" in client.get("/problem/solve/0/4").text


def test_a_growing_run_is_seen_to_grow(rows: list[LabeledProblem], tmp_path: Path) -> None:
    layout = a_view_run(tmp_path / "run", rows[:4])
    looking = Looking(layout)
    with looking as client:
        before = client.get("/state").json()["changed"]
        a_view_run(layout.folder, rows[:8])
        looking.look_again()
        assert client.get("/state").json()["changed"] > before
        assert ids(client.get("/").text) == [row.problem.id for row in rows]


def test_looking_writes_nothing(layout: Layout) -> None:
    def files() -> dict[str, tuple[int, int]]:
        found = sorted(path for path in layout.folder.rglob("*"))
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = files()
    with Looking(layout) as client:
        for path in (
            "/",
            "/?q=a&sort=uncertainty",
            "/problem/label/0/0",
            "/problem/label/0/0/tree",
            "/review",
            "/state",
        ):
            assert client.get(path).status_code == 200
    assert files() == before


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def without_solutions(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns("solutions"), path, write_page_checksum=True)


@pytest.mark.parametrize("damage", [cut_short, without_solutions])
def test_a_damaged_shard_is_named_and_the_rest_is_shown(
    rows: list[LabeledProblem], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    layout = a_view_run(tmp_path / "run", rows)
    damage(tmp_path / "run" / "labeled" / "part-00001.parquet")
    with Looking(layout) as client:
        page = client.get("/").text
        assert ids(page) == [row.problem.id for row in rows[:4]] and "damaged shard" in page
        assert client.get("/problem/label/1/0").status_code == 500


def test_a_folder_that_changes_under_the_viewer_is_survived(rows: list[LabeledProblem], tmp_path: Path) -> None:
    layout = a_view_run(tmp_path / "run", rows)
    looking = Looking(layout)
    with looking as client:
        layout.shard("label", 1).unlink()
        assert client.get("/").status_code == client.get("/?q=a").status_code == 200
        assert client.get("/problem/label/1/0").status_code == 404
        a_view_run(layout.folder, [*rows[:4], rows[4]], per_shard=4)
        for path in ("/", "/?q=e", "/?sort=uncertainty"):
            assert client.get(path).status_code == 200
        looking.look_again()
        assert ids(client.get("/").text) == [row.problem.id for row in rows[:5]]


def test_a_problem_shows_counts_beliefs_and_verdicts(client: TestClient, rows: list[LabeledProblem]) -> None:
    place, row = next((i, r) for i, r in enumerate(rows) if any(s.rollout.outcome == "wrong" for s in r.solutions))
    page = html.unescape(client.get(f"/problem/label/{place // 4}/{place % 4}?n={place + 1}").text)
    assert row.problem.question in page
    for solution in row.solutions:
        for step, label in zip(solution.rollout.steps, solution.labels, strict=True):
            assert step.text.strip("\n") in page
            if label is not None and label.trials:
                assert f"{label.successes} of {label.trials} right, " in page
        if solution.verdict.first_error is not None:
            assert f"step {solution.verdict.first_error + 1} is the first wrong one" in page
    assert page.count('class="solution"') == len(row.solutions)


def test_the_questions_end_at_the_stored_posterior_in_the_labelers_order(
    layout: Layout, rows: list[LabeledProblem]
) -> None:
    run, _ = open_run(layout.folder)
    model, asked_of = model_of(run, layout), 0
    for row in rows:
        for i, solution in enumerate(row.solutions):
            asked = questions_about(row, i, run, model)
            if asked is None:
                continue
            asked_of += len(asked.questions) - 1
            assert asked.in_order
            assert asked.questions[-1].posterior == pytest.approx(solution.verdict.posterior)
            assert all(sum(question.posterior) == pytest.approx(1) for question in asked.questions)
    assert asked_of > 0


def test_an_order_that_cannot_be_found_is_not_claimed(layout: Layout, rows: list[LabeledProblem]) -> None:
    run, _ = open_run(layout.folder)
    row = next(r for r in rows if len(r.evidence) > 3)
    cut = row.model_copy(update={"evidence": row.evidence[1:]})
    found = [questions_about(cut, i, run, model_of(run, layout)) for i in range(len(cut.solutions))]
    assert any(one is not None for one in found) and not any(one.in_order for one in found if one)


def test_the_tree_holds_every_step_of_every_rollout(rows: list[LabeledProblem]) -> None:
    def texts(nodes: tuple[Node, ...]) -> Iterator[str]:
        for node in nodes:
            yield from (text for _, text in node.steps)
            yield from texts(node.children)

    for row in rows:
        shown = set(texts(tree_of(row)))
        for rollout in (*(s.rollout for s in row.solutions), *row.evidence):
            assert {step.text for step in rollout.steps} <= shown


def test_hostile_texts_stay_texts(rows: list[LabeledProblem], tmp_path: Path) -> None:
    hostile = [with_texts(rows[i % len(rows)], payload) for i, payload in enumerate(PAYLOADS)]
    with Looking(a_view_run(tmp_path / "run", hostile, per_shard=50)) as client:
        pages = [client.get("/").text, client.get("/?q=%3Cscript%3E").text, client.get("/?domain=%22%3E%3Csvg%3E").text]
        for place in range(0, len(hostile), 7):
            at = f"/problem/label/{place // 50}/{place % 50}"
            pages += [client.get(f"{at}{part}").text for part in ("", "/tree", "/questions/1")]
        for page in pages:
            made = re.findall(r"<(script|iframe|svg|object|base|style|video|math|body|form|img)\b[^>]*>", page)
            known = {"script": 3, "img": 1, "body": 1, "form": 1}
            assert all(made.count(name) <= known.get(name, 0) for name in made), made


def test_tools_second_turns_scores_and_lineage_are_told(rows: list[LabeledProblem], tmp_path: Path) -> None:
    row = rows[0]
    solution, *others = row.solutions
    steps = (solution.rollout.steps[0].model_copy(update={"author": "tool"}), *solution.rollout.steps[1:])
    repair = Repair(
        message="<i>the test</i> fails", prompt="p", text="now so", outcome="correct", finish="stop", tokens=3
    )
    scores = tuple(0.25 for _ in steps)
    rollout = solution.rollout.model_copy(update={"steps": steps, "repair": repair, "scores": scores})
    lineage = Lineage(parents=("p-1",), way="rephrase", settled_by="agreement", agreement=0.75, solutions=8)
    problem = row.problem.model_copy(update={"lineage": lineage})
    told = row.model_copy(
        update={"problem": problem, "solutions": (solution.model_copy(update={"rollout": rollout}), *others)}
    )
    with Looking(a_view_run(tmp_path / "run", [told])) as client:
        page = client.get("/problem/label/0/0").text
    assert '<span class="chip">tool</span>' in page and "<dt>scorer: right</dt><dd>25 %</dd>" in page
    assert "&lt;i&gt;the test&lt;/i&gt; fails" in page and "now so" in page
    assert "p-1 (rephrase; answer settled by agreement, 75 % of 8 agree)" in page
