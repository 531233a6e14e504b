"""One problem on the terminal: its question, its solutions step by step, the counts and the truth."""

from typing import NamedTuple

from stepforge.labelers.oracle import NO_TRUTH, oracle_verdict
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.run_folder.failures import Loss, lost_problems
from stepforge.pipelines.run_folder.rows import ROW_RECORDS, Row, problem_ids
from stepforge.pipelines.storage.layout import shard_index
from stepforge.pipelines.storage.shards import read_row
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, SolvedProblem


class Found(NamedTuple):
    row: Row
    loss: Loss | None


def find_problem(folder: AnyPath, problem_id: str) -> Found:
    _, layout = open_run(folder)
    for stage, record in ROW_RECORDS.items():
        for path in layout.shards(stage):
            ids = problem_ids(layout, stage, shard_index(path))
            if problem_id in ids:
                row = read_row(path, record, ids.index(problem_id))
                return Found(row, lost_problems(layout, shard_index(path)).get(problem_id))
    raise BadInput(f"{folder}: no problem {problem_id!r}; `stepforge show {folder}` lists them")


def problem_json(found: Found) -> dict[str, object]:
    """Return it as data; steps are counted from 0, as in the data sets."""
    loss = None if found.loss is None else found.loss.model_dump()
    return {"lost": loss, type(found.row).__name__: found.row.model_dump(mode="json")}


def problem_text(found: Found) -> str:
    """Return it as text; steps are counted from 1, as in the card."""
    row, loss = found
    blocks = [_head(_problem(row))] if loss is None else [f"{_head(_problem(row))}\n{loss}"]
    if isinstance(row, LabeledProblem):
        costs = ", ".join(f"{c.labeler} {c.cost.rollouts} rollouts {c.cost.generated_tokens} tokens" for c in row.costs)
        blocks += [*(_solution(row.problem, solution) for solution in row.solutions), f"cost: {costs}"]
    elif isinstance(row, SolvedProblem):
        blocks += [f"solution {r.id}: {r.outcome}, {ending(r)}\n{r.text}" for r in row.rollouts]
    return "\n\n".join(blocks)


def _problem(row: Row) -> Problem:
    return row if isinstance(row, Problem) else row.problem


def ending(rollout: Rollout) -> str:
    answer = "no answer" if rollout.answer is None else f"answer {rollout.answer}"
    return f"{answer}{', cut off at the token limit' if rollout.truncated else ''}"


def _head(problem: Problem) -> str:
    level = "" if problem.difficulty is None else f", difficulty {problem.difficulty}"
    lines = [f"{problem.id}  ({problem.domain}{level})", problem.question]
    if problem.answer is not None:
        lines.append(f"reference answer: {problem.answer}")
    if problem.known_solution is not None:
        lines.append(f"a right solution:\n{problem.known_solution.rstrip()}")
    elif problem.truth is not None:
        lines.append("truth: " + "; ".join(q.statement for q in problem.truth.quantities))
    return "\n".join(lines)


def _solution(problem: Problem, solution: LabeledSolution) -> str:
    truth = oracle_verdict(problem, solution.rollout)
    lines = [f"solution {solution.rollout.id}: {solution.rollout.outcome}, {ending(solution.rollout)}"]
    for i, step in enumerate(solution.rollout.steps):
        true = f"{truth.classes[i]:8} " if truth.classes else ""
        mark = ">" if solution.verdict.first_error == i else " "
        label, author = solution.labels[i], "(tool)" if step.author == "tool" else ""
        lines.append(f"{mark} {i + 1:2} {_counts(label):>16}  {_belief(label)}{true}{author}{step.text.rstrip()}")
    verdicts = [solution.verdict, *solution.others, *([] if truth.reason == NO_TRUTH else [truth])]
    lines += [_opinion(verdict) for verdict in verdicts]
    return "\n".join(lines)


def _counts(label: StepLabel | None) -> str:
    if label is None or label.interval is None:
        return "not measured"
    low, high = label.interval
    return f"{label.successes}/{label.trials} {low:.2f}-{high:.2f}"


def _belief(label: StepLabel | None) -> str:
    """Posterior probability of being the first error, and the posterior mean of V, if the labeler has them."""
    if label is None or label.belief is None:
        return ""
    return f"p(error) {label.belief.p_error:.2f}  V {label.belief.value:.2f}  "


def _opinion(verdict: Verdict) -> str:
    if verdict.abstained:
        return f"  {verdict.labeler}: abstains ({verdict.reason})"
    return f"  {verdict.labeler}: " + ("no error" if verdict.first_error is None else f"step {verdict.first_error + 1}")
