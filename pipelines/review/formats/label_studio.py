"""Label Studio's tasks (labelstud.io/guide/task_format): a task is a solution, with a choice for each step."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stepforge.pipelines.review.formats.contract import FINDINGS, Rows, Said, Task, finding_of
from stepforge.schemas.review import Origin

_STEP = "finding_"
_CHOICES = "".join(f'<Choice value="{one}"/>' for one in FINDINGS if one != "reference_wrong")
CONFIG = f"""<View>
  <Text name="question" value="$question"/>
  <Header value="Reference answer: $reference"/>
  <Repeater on="$steps" indexFlag="{{{{idx}}}}">
    <Text name="step_{{{{idx}}}}" value="$steps[{{{{idx}}}}].text"/>
    <Choices name="{_STEP}{{{{idx}}}}" toName="step_{{{{idx}}}}" choice="single" showInline="true">{_CHOICES}</Choices>
  </Repeater>
  <Choices name="reference" toName="question" choice="single"><Choice value="reference_wrong"/></Choices>
  <TextArea name="note" toName="question" maxSubmissions="1"/>
</View>
"""
"""The labeling interface for these tasks (Settings, Labeling Interface, Code)."""


class LabelStudio:
    name: Origin = "label_studio"

    def export(self, tasks: Iterable[Task]) -> str:
        """Return the tasks; people's findings so far become annotations."""
        return json.dumps([_task(task) for task in tasks], indent=1, ensure_ascii=False) + "\n"

    def read(self, rows: Rows) -> Iterator[Said]:
        for _, task in rows:
            data = task.get("data") or {}
            for annotation in task.get("annotations") or ():
                if not annotation.get("was_cancelled"):
                    yield from _said(data, annotation)


def _task(task: Task) -> Mapping[str, object]:
    by_reviewer: dict[str, list[Mapping[str, object]]] = {}
    for one in task.said:
        if one.step is not None and one.finding in FINDINGS:
            by_reviewer.setdefault(one.reviewer, []).append(_choice(one.step, one.finding))
    data = {
        "problem_id": task.row.problem.id,
        "solution_id": task.solution.rollout.id,
        "question": task.row.problem.question,
        "reference": task.row.problem.answer or "",
        "steps": [{"number": i, "text": text} for i, text in enumerate(task.steps, 1)],
        "doubtful_step": task.step + 1,
    }
    annotations = [{"completed_by": {"email": name}, "result": result} for name, result in by_reviewer.items()]
    return {"data": data, "annotations": annotations} if annotations else {"data": data}


def _choice(step: int, finding: str) -> Mapping[str, object]:
    names = {"from_name": f"{_STEP}{step}", "to_name": f"step_{step}", "type": "choices"}
    return {**names, "value": {"choices": [finding]}}


def _said(data: Mapping[str, Any], annotation: Mapping[str, Any]) -> Iterator[Said]:
    by = annotation.get("completed_by")
    reviewer = str((by.get("email") or by.get("id")) if isinstance(by, dict) else by)
    results = annotation.get("result") or []
    note = " ".join(t for r in results if r.get("from_name") == "note" for t in (r.get("value") or {}).get("text", ()))
    for result in results:
        name, chosen = str(result.get("from_name", "")), (result.get("value") or {}).get("choices") or [None]
        finding, number = finding_of(chosen[0]), name.removeprefix(_STEP)
        if finding is None or not (name == "reference" or (name.startswith(_STEP) and number.isdecimal())):
            continue
        yield Said(
            step=None if name == "reference" else int(number),
            finding=finding,
            reviewer=reviewer,
            at=str(annotation.get("created_at") or ""),
            problem_id=str(data.get("problem_id", "")),
            solution_id=str(data.get("solution_id", "")),
            note=note,
            seconds=annotation.get("lead_time") if len(results) == 1 else None,
        )
