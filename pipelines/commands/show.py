"""One problem on the terminal: its question, its solutions step by step, what was counted and what is true."""

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_columns, read_shard
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution, StepLabel, Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SolvedProblem

WHOLE_ROWS: tuple[ShardStage, ...] = ("label", "solve", "generate")
"""The stages whose shards hold rows, and not only what filters kept of them; the latest first."""


def show_problem(folder: AnyPath, problem_id: str) -> str:
    """Return the latest that is known of a problem.

    Raises:
        BadInput: the run holds no such problem.
    """
    _, layout = open_run(folder)
    stage, path = _find(layout, problem_id)
    if stage == "label":
        return _labeled(next(r for r in read_shard(path, LabeledProblem) if r.problem.id == problem_id))
    if stage == "solve":
        solved = next(r for r in read_shard(path, SolvedProblem) if r.problem.id == problem_id)
        texts = [f"solution {r.id}: {r.outcome}\n{r.text}" for r in solved.rollouts]
        return "\n\n".join([_head(solved.problem), *texts])
    return _head(next(p for p in read_shard(path, Problem) if p.id == problem_id))


def _find(layout: Layout, problem_id: str) -> tuple[ShardStage, AnyPath]:
    for stage in WHOLE_ROWS:
        column = "id" if stage == "generate" else "problem"
        for path in layout.shards(stage):
            values = read_columns(path, [column])[column]
            if problem_id in (value if stage == "generate" else value["id"] for value in values):
                return stage, path
    raise BadInput(f"{layout.folder}: no problem {problem_id!r}; ids are in its problems/ shards, column id")


def _head(problem: Problem) -> str:
    lines = [f"{problem.id}  ({problem.domain}, difficulty {problem.difficulty})", problem.question]
    if problem.answer is not None:
        lines.append(f"reference answer: {problem.answer}")
    if problem.truth is not None:
        lines.append("truth: " + "; ".join(q.statement for q in problem.truth.quantities))
    return "\n".join(lines)


def _labeled(row: LabeledProblem) -> str:
    blocks = [_solution(row.problem, solution) for solution in row.solutions]
    costs = ", ".join(f"{c.labeler} {c.cost.rollouts} rollouts {c.cost.generated_tokens} tokens" for c in row.costs)
    return "\n\n".join([_head(row.problem), *blocks, f"cost: {costs}"])


def _solution(problem: Problem, solution: LabeledSolution) -> str:
    truth = oracle_verdict(problem, solution.rollout)
    lines = [f"solution {solution.rollout.id}: {solution.rollout.outcome}"]
    for i, step in enumerate(solution.rollout.steps):
        true = truth.classes[i] if truth.classes else "-"
        mark = ">" if solution.verdict.first_error == i else " "
        label = solution.labels[i]
        lines.append(f"{mark} {i:2} {_counts(label):>16}  {_belief(label)}{true:8} {step.text.rstrip()}")
    lines += [_opinion(verdict) for verdict in (solution.verdict, *solution.others, truth)]
    return "\n".join(lines)


def _counts(label: StepLabel | None) -> str:
    if label is None or label.interval is None:
        return "not measured"
    low, high = label.interval
    return f"{label.successes}/{label.trials} {low:.2f}-{high:.2f}"


def _belief(label: StepLabel | None) -> str:
    """Posterior probability of being the first error, and the posterior mean of V, where the labeler has them."""
    if label is None or label.belief is None:
        return ""
    return f"p(error) {label.belief.p_error:.2f}  V {label.belief.value:.2f}  "


def _opinion(verdict: Verdict) -> str:
    if verdict.abstained:
        return f"  {verdict.labeler}: abstains ({verdict.reason})"
    return f"  {verdict.labeler}: " + ("no error" if verdict.first_error is None else f"step {verdict.first_error}")
