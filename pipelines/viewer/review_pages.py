"""The review mode: one doubtful step at a time, one key per finding, stored before the next step is shown."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stepforge.labelers.people_rule import digest_up_to
from stepforge.pipelines.reports.problem_view import solution_view
from stepforge.pipelines.review.agreement import disputed, place_of_step, review_figures
from stepforge.pipelines.review.condensed import read_condensed
from stepforge.pipelines.review.findings import add_findings, finding_on, read_findings
from stepforge.pipelines.review.queue import QueueItem, doubt_of, read_queue, row_of
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.record import Record
from stepforge.schemas.review import Finding, StepFinding

MOST_STEPS = 4
"""Steps asked about in one solution before the next comes."""
KEYS: tuple[tuple[str, Finding, str], ...] = (
    ("1", "right", "right"),
    ("2", "wrong", "wrong"),
    ("3", "repaired", "wrong, repaired later"),
    ("4", "redundant", "redundant"),
    ("5", "unclear", "unclear"),
    ("x", "reference_wrong", "reference wrong"),
)
Page = Callable[..., HTMLResponse]


class Sent(Record):
    step: int = Field(ge=0)
    finding: Finding
    note: str = Field(default="", max_length=4000)
    seconds: float = Field(ge=0)
    shown: tuple[str, ...] = Field(default=(), max_length=8)


class ReviewDesk:
    """One reviewer at work on the queue of one run."""

    def __init__(self, layout: Layout, reviewer: str, *, adjudicates: bool = False, condensed: bool = True) -> None:
        """``condensed``: whether a model's text about a step is shown without being requested."""
        self.layout, self.reviewer, self.adjudicates, self.condensed = layout, reviewer, adjudicates, condensed
        self.queue = read_queue(layout)

    def findings(self) -> list[StepFinding]:
        return read_findings(self.layout).all

    def said_of(self, problem_id: str) -> dict[tuple[str, int | None], list[StepFinding]]:
        found: dict[tuple[str, int | None], list[StepFinding]] = {}
        for one in self.findings():
            if one.problem_id == problem_id:
                found.setdefault((one.solution_id, one.step), []).append(one)
        return found

    def items(self, findings: Sequence[StepFinding]) -> list[QueueItem]:
        items = list(self.queue.items) if self.queue else []
        if not self.adjudicates:
            return items
        known = {(item.problem_id, item.solution_id): item for item in items}
        return [
            known[place[:2]].model_copy(update={"step": place[2], "reasons": ("reviewers disagree",), "gold": None})
            for place in disputed(findings)
            if place[:2] in known
        ]

    def mine(self, findings: Sequence[StepFinding], item: QueueItem) -> list[StepFinding]:
        """Return this reviewer's findings on an item's solution, or on its problem's reference."""
        return [
            one
            for one in findings
            if one.reviewer == self.reviewer and one.problem_id == item.problem_id
            if one.solution_id == item.solution_id or one.finding == "reference_wrong"
        ]

    def first_open(self, findings: Sequence[StepFinding], after: int = 0) -> int | None:
        """Return the number, from 1, of the next item without a finding from this reviewer."""
        items = self.items(findings)
        if self.adjudicates:
            return 1 if items else None
        order = [*range(after, len(items)), *range(after)]
        return next((i + 1 for i in order if not self.mine(findings, items[i])), None)

    def row(self, item: QueueItem) -> LabeledProblem:
        """Return an item's problem. Raises IndexError: the run has changed since the queue was built."""
        row = row_of(self.layout, item)
        if row is None:
            raise IndexError("the run has changed since the queue was built; build it again: stepforge review DIR")
        return row

    def step(self, item: QueueItem, solution: LabeledSolution, findings: Sequence[StepFinding]) -> int | None:
        """Return the step to ask about next; None where the item is done."""
        mine = self.mine(findings, item)
        asked = {one.step for one in mine if one.finding != "withdrawn"}
        if not asked:
            return item.step
        done = item.gold or self.adjudicates or len(asked) >= MOST_STEPS
        if done or any(one.finding in ("reference_wrong", "unclear") for one in mine):
            return None
        doubt = doubt_of(solution, mine)
        return None if doubt is None else doubt.step

    def take(self, number: int, sent: Sent) -> str:
        """Store a finding durably, and return where to continue.

        Raises IndexError: there is no such item or step; RunFailed: the disk fails; nothing was stored.
        """
        findings = self.findings()
        item = self.items(findings)[number - 1]
        row = self.row(item)
        solution = row.solutions[item.solution]
        if sent.step >= len(solution.rollout.steps):
            raise IndexError("there is no such step")
        one = finding_on(
            row.problem,
            solution.rollout,
            sent.step,
            sent.finding,
            note=sent.note,
            reviewer=self.reviewer,
            adjudicates=self.adjudicates,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(sent.seconds, 3),
            shown=sent.shown,
        )
        add_findings(self.layout, [one])
        if sent.finding == "withdrawn" or self.step(item, solution, [*findings, one]) is not None:
            return f"/review/{number}"
        following = self.first_open([*findings, one], number)
        return "/review/done" if following is None else f"/review/{following}"


def review_routes(desk: ReviewDesk, html: Page, page: Callable[[Any], Any]) -> list[Route]:
    def first(request: Request) -> Response:
        if desk.queue is None:
            return html("review_done", figures=None)
        number = desk.first_open(desk.findings())
        return RedirectResponse("/review/done" if number is None else f"/review/{number}", 303)

    def done(request: Request) -> Response:
        return html("review_done", figures=review_figures(desk.findings(), desk.queue))

    def show(request: Request) -> Response:
        return html("review", **_shown(desk, request.path_params["number"]))

    async def take(request: Request) -> Response:
        try:
            sent = Sent.model_validate(json.loads(await request.body()))
            target = await run_in_threadpool(desk.take, request.path_params["number"], sent)
        except (ValidationError, ValueError, IndexError) as error:
            return JSONResponse({"error": str(error).splitlines()[0]}, 400)
        except (RunFailed, OSError) as error:
            return JSONResponse({"error": f"not stored: {error}"}, 507)
        return JSONResponse({"next": target})

    return [
        Route("/review", page(first)),
        Route("/review/done", page(done)),
        Route("/review/{number:int}", page(show)),
        Route("/review/{number:int}/finding", take, methods=["POST"]),
    ]


def _shown(desk: ReviewDesk, number: int) -> dict[str, object]:
    """Return the content of one queued item's page. Raises IndexError: there is no such item."""
    findings = desk.findings()
    items = desk.items(findings)
    if not 1 <= number <= len(items):
        raise IndexError("there is no such item in the queue")
    item = items[number - 1]
    row = desk.row(item)
    solution = row.solutions[item.solution]
    step = desk.step(item, solution, findings)
    asked_about = item.step if step is None else step
    digest = digest_up_to(solution.rollout, asked_about)
    others = [o for o in findings if place_of_step(o) == (item.problem_id, item.solution_id, item.step)]
    return {
        "item": item,
        "number": number,
        "items": len(items),
        "row": row,
        "solution": solution_view(row.problem, solution),
        "place": item.solution + 1,
        "step": asked_about,
        "condensed": read_condensed(desk.layout).get((item.solution_id, digest)),
        "answered": step is None,
        "mine": {one.step: one for one in desk.mine(findings, item)},
        "others": others if desk.adjudicates else [],
        "keys": KEYS,
        "count": sum(one.reviewer == desk.reviewer for one in findings),
    }
