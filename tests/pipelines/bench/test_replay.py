"""Completions by prefix, of a labeler that draws from its own completions."""

from stepforge.labelers import ChangePoint, OmegaPRM
from stepforge.labelers.evidence.replay import completions_by_prefix
from stepforge.pipelines.bench.cases import bench_problem
from stepforge.pipelines.library.labeling import Task, label_solutions
from stepforge.pipelines.settings.run_settings import parse_settings
from stepforge.pipelines.viewer.questions import questions_about
from stepforge.schemas.labeled import LabeledProblem

SOLUTION = "7 + 5 = 12\n12 * 2 = 23\n23 - 4 = 19\nAnswer: 19"


async def complete(text: str, seed: int) -> str:
    rest = ["7 + 5 = 12", "12 * 2 = 24", "24 - 4 = 20", "Answer: 20"][text.count("=") :]
    if seed % 3:
        rest[-1] = f"Answer: {seed % 7 + 21}"
    return "\n".join(rest)


def labeled() -> LabeledProblem:
    task = Task(question="Start with 7. Add 5. Double it. Subtract 4.", answer="20", solutions=(SOLUTION,))
    (row,) = label_solutions([task], OmegaPRM(k=4, search_limit=8), engine=complete)
    return row


def test_a_completion_may_start_from_another() -> None:
    row = labeled()
    ours = {solution.rollout.id for solution in row.solutions}
    assert [r for r in row.evidence if r.start is not None and r.start.steps and r.start.rollout not in ours]
    assert sum(map(len, completions_by_prefix(row).values())) == len(row.evidence)
    assert bench_problem(row) is None  # it carries no truth


def test_the_viewer_shows_questions_about_such_a_solution() -> None:
    settings = {"engine": {"kind": "scripted"}, "generate": [{"kind": "sequence"}], "label": [{"kind": "sprt"}]}
    asked = questions_about(labeled(), 0, parse_settings(settings, "run.toml"), ChangePoint())
    assert asked is not None
    assert len(asked.questions) > 1
    assert not asked.in_order  # another labeler's completions
