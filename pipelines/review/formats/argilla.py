"""Argilla's records as ``Dataset.records.to_json`` writes them and ``from_json`` reads them: a record is a step."""

import json
from collections.abc import Iterable, Iterator, Mapping

from stepforge.pipelines.review.formats.contract import Rows, Said, Task, finding_of
from stepforge.schemas.review import Origin

QUESTION = "finding"
"""The data set's label question; its labels are the findings."""


class Argilla:
    """JSON, out and back. The data set needs text fields ``problem``, ``before`` and ``step``."""

    name: Origin = "argilla"

    def export(self, tasks: Iterable[Task]) -> str:
        records = [_record(task, step) for task in tasks for step in range(task.step + 1)]
        return json.dumps(records, indent=1, ensure_ascii=False) + "\n"

    def read(self, rows: Rows) -> Iterator[Said]:
        for _, record in rows:
            about = record.get("metadata") or {}
            for response in (record.get("responses") or {}).get(QUESTION) or ():
                finding = finding_of(response.get("value"))
                if finding is None or not isinstance(about.get("step"), int):
                    continue
                yield Said(
                    step=None if finding == "reference_wrong" else about["step"] - 1,
                    finding=finding,
                    reviewer=str(response.get("user_id")),
                    at="",
                    problem_id=str(about.get("problem_id", "")),
                    solution_id=str(about.get("solution_id", "")),
                )


def _record(task: Task, step: int) -> Mapping[str, object]:
    problem, rollout, steps = task.row.problem, task.solution.rollout, task.steps
    reference = "" if problem.answer is None else f"\n\nReference answer: {problem.answer}"
    return {
        "id": f"{rollout.id}#{step + 1}",
        "fields": {
            "problem": f"{problem.question}{reference}",
            "before": "\n".join(steps[:step]) or "(nothing: this is the first step)",
            "step": steps[step],
        },
        "metadata": {"problem_id": problem.id, "solution_id": rollout.id, "step": step + 1},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }
