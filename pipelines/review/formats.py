"""Other tools' formats, to export solutions and import findings; what is read is untrusted.

- ``label_studio``: tasks (labelstud.io/guide/task_format); a task is a solution, with a choice for each step.
- ``argilla``: records as ``Dataset.records.to_json`` writes them and ``from_json`` reads them; a record is a step. The
  data set needs text fields ``problem``, ``before`` and ``step``, and a label question ``finding``.
- ``prm800k``: lines (openai/prm800k, arXiv 2305.20050); lines from elsewhere are matched by the text of question and
  steps.
- ``usage``: a thumb or an edit on a solution that someone was shown, import only; these count little, and only with
  consent. ``step`` is 1-based, and absent if the event is about the whole solution.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from stepforge.pipelines.exports.contract import problem_origin
from stepforge.pipelines.exports.prm800k import PRM800KLabel, PRM800KRow, question_of, steps_rated
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.review import Finding, Origin, StepFinding

FINDINGS: tuple[Finding, ...] = ("right", "wrong", "repaired", "redundant", "unclear", "reference_wrong")
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
"""Label Studio's labeling interface for these tasks (Settings, Labeling Interface, Code)."""
RATINGS: dict[int, Finding] = {1: "right", 0: "unclear", -1: "wrong"}
"""PRM800K's; 0 is neither: too little to be called right, and nothing wrong."""
_RATED = {"right": 1, "redundant": 0, "unclear": 0, "wrong": -1, "repaired": -1}
EVENTS: dict[str, Finding] = {"thumb_up": "right", "thumb_down": "wrong", "edit": "wrong", "accept": "right"}
NEEDED = ("problem_id", "solution_id", "event", "user", "at", "consent", "license")


class Task(NamedTuple):
    """A solution to export, with what is known of it."""

    row: LabeledProblem
    solution: LabeledSolution
    step: int
    """The doubtful one."""
    said: Sequence[StepFinding]

    @property
    def steps(self) -> list[str]:
        return [step.text.strip("\n") for step in self.solution.rollout.steps]

    def by_reviewer(self, findings: Iterable[str]) -> dict[str, dict[int, StepFinding]]:
        """Return the findings of these kinds on steps, by reviewer and step."""
        found: dict[str, dict[int, StepFinding]] = defaultdict(dict)
        for one in self.said:
            if one.step is not None and one.finding in findings:
                found[one.reviewer][one.step] = one
        return found


class Said(NamedTuple):
    """A finding from another tool; its solution is identified by ids, or by its text."""

    step: int | None
    finding: Finding
    more: Mapping[str, object]
    """Further fields of a ``StepFinding``."""
    problem_id: str = ""
    solution_id: str = ""
    question: str = ""
    steps: tuple[str, ...] = ()


Rows: TypeAlias = Iterable[tuple[str, Mapping[str, Any]]]
"""Another tool's objects, each with its location in words."""


class Format(NamedTuple):
    name: Origin
    read: Callable[[Rows], Iterator[Said]]
    export: Callable[[Sequence[Task]], str] | None


def _ids(of: Mapping[str, Any]) -> tuple[str, str]:
    return str(of.get("problem_id") or ""), str(of.get("solution_id") or "")


def _known(value: object) -> Finding | None:
    return next((one for one in FINDINGS if one == value), None)


def _label_studio_task(task: Task) -> Mapping[str, object]:
    """Return a task; people's findings so far become annotations."""
    data = {
        "problem_id": task.row.problem.id,
        "solution_id": task.solution.rollout.id,
        "question": task.row.problem.question,
        "reference": task.row.problem.answer or "",
        "steps": [{"number": i, "text": text} for i, text in enumerate(task.steps, 1)],
        "doubtful_step": task.step + 1,
    }
    annotations = [
        {"completed_by": {"email": name}, "result": [_choice(step, one.finding) for step, one in said.items()]}
        for name, said in task.by_reviewer(FINDINGS).items()
    ]
    return {"data": data, "annotations": annotations} if annotations else {"data": data}


def _choice(step: int, finding: str) -> Mapping[str, object]:
    names = {"from_name": f"{_STEP}{step}", "to_name": f"step_{step}", "type": "choices"}
    return {**names, "value": {"choices": [finding]}}


def _label_studio_said(rows: Rows) -> Iterator[Said]:
    for _, task in rows:
        for annotation in task.get("annotations") or ():
            if not annotation.get("was_cancelled"):
                yield from _annotated(task.get("data") or {}, annotation)


def _annotated(data: Mapping[str, Any], annotation: Mapping[str, Any]) -> Iterator[Said]:
    by = annotation.get("completed_by")
    reviewer = str((by.get("email") or by.get("id")) if isinstance(by, dict) else by)
    results = annotation.get("result") or []
    note = " ".join(t for r in results if r.get("from_name") == "note" for t in (r.get("value") or {}).get("text", ()))
    seconds = annotation.get("lead_time") if len(results) == 1 else None
    more = {"reviewer": reviewer, "at": str(annotation.get("created_at") or ""), "note": note, "seconds": seconds}
    for result in results:
        name, chosen = str(result.get("from_name", "")), (result.get("value") or {}).get("choices") or [None]
        finding, number = _known(chosen[0]), name.removeprefix(_STEP)
        if finding and name == "reference":
            yield Said(None, finding, more, *_ids(data))
        elif finding and name.startswith(_STEP) and number.isdecimal():
            yield Said(int(number), finding, more, *_ids(data))


def _argilla_record(task: Task, step: int) -> Mapping[str, object]:
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


def _argilla_said(rows: Rows) -> Iterator[Said]:
    for _, record in rows:
        about = record.get("metadata") or {}
        for response in (record.get("responses") or {}).get("finding") or ():
            finding = _known(response.get("value"))
            if finding is not None and isinstance(about.get("step"), int):
                step = None if finding == "reference_wrong" else about["step"] - 1
                yield Said(step, finding, {"reviewer": str(response.get("user_id"))}, *_ids(about))


def _prm800k_line(task: Task, reviewer: str, said: Mapping[int, StepFinding]) -> str:
    rollout = task.solution.rollout
    rated = [_RATED[said[i].finding] if i in said else None for i in range(len(task.steps))]
    end = rated.index(-1) + 1 if -1 in rated else len(rated)
    right = "solution" if rollout.outcome == "correct" else "give_up"
    label = PRM800KLabel(
        steps=steps_rated(zip(task.steps[:end], rated[:end], strict=True)),
        total_time=round(1000 * sum(one.seconds or 0 for one in said.values())),
        finish_reason="found_error" if -1 in rated else right,
    )
    row = PRM800KRow(
        timestamp=max(one.at for one in said.values()),
        question=question_of(task.row, rollout),
        label=label,
        solution_id=rollout.id,
        **problem_origin(task.row, reviewer),
    )
    return f"{row.model_dump_json()}\n"


def _prm800k_said(rows: Rows) -> Iterator[Said]:
    for _, line in rows:
        chosen = list(_chosen(line))
        steps = tuple(str(step.get("text", "")) for step in chosen)
        question = str((line.get("question") or {}).get("problem", ""))
        more = {"reviewer": str(line.get("labeler") or "prm800k"), "at": str(line.get("timestamp") or "")}
        for i, step in enumerate(chosen):
            rating = step.get("rating")
            if isinstance(rating, int) and rating in RATINGS:
                yield Said(i, RATINGS[rating], more, *_ids(line), question, steps[: i + 1])


def _chosen(line: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps that the rated solution is made of, up to one where nothing was chosen."""
    for choice in (line.get("label") or {}).get("steps") or ():
        if choice.get("human_completion"):
            yield {**choice["human_completion"], "rating": None}
            continue
        completions, chosen = choice.get("completions") or [], choice.get("chosen_completion")
        if chosen is None and len(completions) == 1:
            chosen = 0  # the first error, at which the labeler stopped
        if chosen is None or not 0 <= chosen < len(completions):
            return
        yield completions[chosen]


def _usage_said(rows: Rows) -> Iterator[Said]:
    """Raises BadInput: an event has no consent, no license, or lacks something else."""
    for where, line in rows:
        missing = next((name for name in NEEDED if not str(line.get(name) or "").strip()), None)
        if missing:
            raise BadInput(f"{where}: has no {missing}; an event needs {', '.join(NEEDED)}")
        if line["event"] not in EVENTS:
            raise BadInput(f"{where}: event {line['event']!r} is unknown; there are {', '.join(EVENTS)}")
        step = line.get("step")
        if step is not None and (not isinstance(step, int) or step < 1):
            raise BadInput(f"{where}: step is a number from 1")
        more = {name: str(line.get(name) or "") for name in ("at", "note", "consent", "license")}
        more["reviewer"] = str(line["user"])
        yield Said(None if step is None else step - 1, EVENTS[line["event"]], more, *_ids(line))


def _as_json(objects: Iterable[Mapping[str, object]]) -> str:
    return json.dumps(list(objects), indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("label_studio", _label_studio_said, lambda tasks: _as_json(map(_label_studio_task, tasks))),
        Format(
            "argilla",
            _argilla_said,
            lambda tasks: _as_json(_argilla_record(task, i) for task in tasks for i in range(task.step + 1)),
        ),
        Format(
            "prm800k",
            _prm800k_said,
            lambda tasks: "".join(  # a line for each reviewer of each solution; none where nobody rated
                _prm800k_line(task, name, said) for task in tasks for name, said in task.by_reviewer(_RATED).items()
            ),
        ),
        Format("usage", _usage_said, None),
    )
}
