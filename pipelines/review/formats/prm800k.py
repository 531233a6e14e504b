"""PRM800K's lines (openai/prm800k, arXiv 2305.20050): expert ratings of steps, -1, 0 or 1."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stepforge.pipelines.exports.contract import problem_origin
from stepforge.pipelines.exports.prm800k import PRM800KLabel, PRM800KRow, question_of, steps_rated
from stepforge.pipelines.review.formats.contract import Rows, Said, Task
from stepforge.schemas.review import Finding, Origin, StepFinding

RATINGS: dict[int, Finding] = {1: "right", 0: "unclear", -1: "wrong"}
"""0 is neither: too little to be called right, and nothing wrong."""
_RATED = {"right": 1, "redundant": 0, "unclear": 0, "wrong": -1, "repaired": -1}


class PRM800KLines:
    """JSON lines, out and back. Lines from elsewhere are matched by the text of question and steps."""

    name: Origin = "prm800k"

    def export(self, tasks: Iterable[Task]) -> str:
        """Return a line for each reviewer of each solution; solutions that nobody rated have none."""
        lines = []
        for task in tasks:
            by_reviewer: dict[str, dict[int, StepFinding]] = {}
            for one in task.said:
                if one.step is not None and one.finding in _RATED:
                    by_reviewer.setdefault(one.reviewer, {})[one.step] = one
            lines += [_line(task, name, said).model_dump_json() for name, said in by_reviewer.items()]
        return "".join(f"{line}\n" for line in lines)

    def read(self, rows: Rows) -> Iterator[Said]:
        for _, line in rows:
            chosen = list(_chosen(line))
            steps = tuple(str(step.get("text", "")) for step in chosen)
            for i, step in enumerate(chosen):
                rating = step.get("rating")
                if isinstance(rating, int) and rating in RATINGS:
                    yield Said(
                        step=i,
                        finding=RATINGS[rating],
                        reviewer=str(line.get("labeler") or "prm800k"),
                        at=str(line.get("timestamp") or ""),
                        problem_id=str(line.get("problem_id") or ""),
                        solution_id=str(line.get("solution_id") or ""),
                        question=str((line.get("question") or {}).get("problem", "")),
                        steps=steps[: i + 1],
                    )


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


def _line(task: Task, reviewer: str, said: dict[int, StepFinding]) -> PRM800KRow:
    rollout = task.solution.rollout
    rated = [_RATED[said[i].finding] if i in said else None for i in range(len(task.steps))]
    end = rated.index(-1) + 1 if -1 in rated else len(rated)
    right = "solution" if rollout.outcome == "correct" else "give_up"
    label = PRM800KLabel(
        steps=steps_rated(zip(task.steps[:end], rated[:end], strict=True)),
        total_time=round(1000 * sum(one.seconds or 0 for one in said.values())),
        finish_reason="found_error" if -1 in rated else right,
    )
    return PRM800KRow(
        timestamp=max(one.at for one in said.values()),
        question=question_of(task.row, rollout),
        label=label,
        solution_id=rollout.id,
        **problem_origin(task.row, reviewer),
    )
