"""Runs to look at, and clients that look."""

from pathlib import Path
from typing import Any

from run_files import a_run
from scripted_rows import scripted_rows, write_stages
from starlette.testclient import TestClient

from stepforge.labelers import ChangePoint, MathShepherd
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.review.findings import finding_on
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import write_text
from stepforge.pipelines.viewer.app import Viewer, viewer_app
from stepforge.pipelines.viewer.review_pages import ReviewDesk
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.review import Finding, StepFinding

TOKEN = "a-token"  # noqa: S105
HOST = "http://127.0.0.1:8000"


def a_view_run(folder: Path, rows: list[LabeledProblem], per_shard: int = 4) -> Layout:
    """Commit labeled rows as a run of two labelers."""
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    labelers = [{"kind": "change_point", "fit_problems": 0}, {"kind": "math_shepherd", "k": 4}]
    run = a_run(problems=len(rows), label=labelers, test_share=0.3)
    write_text(layout.run_file, run.toml())
    for number in range(-(-len(rows) // per_shard)):
        write_stages(layout, number, rows[number * per_shard : (number + 1) * per_shard], run)
    return layout


def labeled_rows(count: int = 8) -> list[LabeledProblem]:
    """Return problems labeled by both labelers."""
    return scripted_rows([ChangePoint(fit_problems=0), MathShepherd(k=4)], count, error_rate=0.2)


def with_texts(row: LabeledProblem, text: str) -> LabeledProblem:
    """Return a problem that says a text wherever it can."""
    problem = row.problem.model_copy(update={"id": text, "question": text, "domain": text, "answer": text})
    solutions = []
    for solution in row.solutions:
        steps = tuple(step.model_copy(update={"text": f"{text}\n"}) for step in solution.rollout.steps)
        rollout = solution.rollout.model_copy(update={"steps": steps, "answer": text})
        verdict = solution.verdict.model_copy(update={"reason": text, "critique": text})
        solutions.append(solution.model_copy(update={"rollout": rollout, "verdict": verdict}))
    evidence = tuple(
        one.model_copy(update={"steps": tuple(s.model_copy(update={"text": text}) for s in one.steps)})
        for one in row.evidence
    )
    problem = problem.model_copy(update={"truth": None})
    return row.model_copy(update={"problem": problem, "solutions": tuple(solutions), "evidence": evidence})


def a_finding(step: int | None = 0, finding: Finding = "right", reviewer: str = "anna", **more: object) -> StepFinding:
    known = {"problem_id": "p", "solution_id": "s", "step": step, "finding": finding, "reviewer": reviewer, "at": "now"}
    return StepFinding.model_validate(known | more)


def on(row: LabeledProblem, place: int, step: int, finding: Finding, reviewer: str = "anna") -> StepFinding:
    return finding_on(row.problem, row.solutions[place].rollout, step, finding, reviewer=reviewer, at="now")


class Looking:
    """A viewer in this process, with a client that has the cookie."""

    def __init__(self, layout: Layout, reviewer: str = "anna", **more: Any) -> None:
        run, _ = open_run(layout.folder)
        self.viewer = Viewer(run, layout, ReviewDesk(layout, reviewer, **more))
        self.client = TestClient(viewer_app(self.viewer, TOKEN), base_url=HOST)

    def __enter__(self) -> TestClient:
        self.viewer.catalog.refresh(30)
        self.client.get(f"/?token={TOKEN}")
        return self.client

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def look_again(self) -> None:
        """See now what has changed in the folder."""
        self.viewer.catalog.next_look = 0.0
