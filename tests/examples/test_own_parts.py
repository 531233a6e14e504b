"""The examples of CONTRIBUTING: each keeps the contract of its place, and all work together in a run without Ray."""

import asyncio
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from stepforge.filters import Corpus, Dropped, VetFilter
from stepforge.generators.family import Family
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.segmenters import Segmenter
from stepforge.labelers import Labeler
from stepforge.pipelines.engines import OwnEngine
from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.run.probe import completing
from stepforge.pipelines.run.stages import label, solve, vet
from stepforge.pipelines.settings.run_file import RunFile, labelers_fault
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.own_part import contract_fault
from stepforge.schemas.record import Record

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "own_parts"
PARTS = {
    "doubling": ("Doubling", Family),
    "semicolon": ("Semicolon", Segmenter),
    "last_step": ("LastStep", Labeler),
    "mixed_outcomes": ("MixedOutcomes", VetFilter),
    "first_errors": ("FirstErrors", Export),
    "calculator": ("CalculatorSettings", OwnEngine),
}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def part(module: str) -> Any:
    return getattr(__import__(module), PARTS[module][0])


@pytest.mark.parametrize("module", PARTS)
def test_the_part_keeps_its_contract(module: str) -> None:
    assert contract_fault(part(module), PARTS[module][1]) is None


def test_a_filter_without_a_name_for_the_report_is_told_to_have_one() -> None:
    class Nameless(Record):
        def __call__(self, row: object, corpus: object) -> object:
            return row

    assert contract_fault(Nameless, VetFilter) == (
        "has no kind, which VetFilter asks for; give it one with a default, its name in the report"
    )


@pytest.mark.parametrize("module", PARTS)
def test_contributing_names_the_part(module: str) -> None:
    assert f"(examples/own_parts/{module}.py)" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_unions_that_contributing_names_are_there() -> None:
    named = re.findall(r"`(Any\w+)` in\s+\[`([\w/.]+)`\]", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(named) >= len(PARTS)
    for union, path in named:
        assert f"{union} = " in (ROOT / path).read_text(encoding="utf-8")


def test_a_doubling_problem() -> None:
    problem = part("doubling")(levels=(2,)).item(seed=1, index=0)
    start = int(re.findall(r"with (\d+)", problem.question)[0])
    assert problem.answer == str(start * 8)
    assert [q.name for q in problem.truth.quantities] == ["t1", "t2", "t3"]


def test_semicolons_cut() -> None:
    assert part("semicolon")()("a; b;\nc") == ("a; ", "b;\n", "c")


async def _run(run: RunFile) -> list[LabeledProblem | Dropped]:
    engine = await run.engine.open()
    policy = PromptedPolicy(engine, run.policy)
    (family,) = run.generate
    async with PooledGrader() as grader:
        rows: list[LabeledProblem | Dropped] = []
        for index in range(run.problems or 0):
            solved = await solve(family.item(run.seed, index), [], policy, grader, n=run.solutions, seed=run.seed)
            for kept in vet([solved], run.vet, Corpus()).kept:
                rows.append(await label(kept, run.label, policy, grader, seed=run.seed))
    return rows


def test_an_own_labeler_that_reads_scores_needs_a_scorer() -> None:
    class Reading(part("last_step")):  # type: ignore[misc]
        reads_scores: ClassVar[bool] = True

    assert labelers_fault([Reading()], scored=True) is None
    assert (
        labelers_fault([Reading()], scored=False) == "last_step needs a reward model's scores; name the model as scorer"
    )


def test_all_of_them_in_one_run() -> None:
    run = RunFile(
        problems=20,
        generate=(part("doubling")(),),
        engine=part("calculator")(error_rate=0.2),
        policy=PolicySettings(segmenter=part("semicolon")(), answer="stated"),
        vet=(part("mixed_outcomes")(),),
        label=(part("last_step")(),),
        export=(part("first_errors")(),),
    )
    assert completing(run) == []  # as the labeler says of itself
    labeled = [row for row in asyncio.run(_run(run)) if isinstance(row, LabeledProblem)]
    assert 0 < len(labeled) < 20
    wrong = [s for row in labeled for s in row.solutions if s.rollout.outcome == "wrong"]
    assert all(s.verdict.first_error == len(s.rollout.steps) - 1 for s in wrong)
    rows = [row for problem in labeled for row in run.export[0].rows(problem)]
    assert len(rows) == len(wrong)
    assert all(row.wrong_step.startswith("Answer: ") for row in rows)
