"""Problems that a model writes: kept only where independent solutions settle the answer, in the group of their seed."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fakes import EqualGrader, a_solution
from pydantic import ValidationError
from run_files import a_run

from stepforge.filters import Corpus
from stepforge.generators.policy import NotSampled, PolicySettings, PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.supplied import Brought
from stepforge.generators.written import ModelSource, Prefixes, Rationales, Refused, Written
from stepforge.generators.written.prompts import read_reply
from stepforge.generators.written.source import Seeds, agreed
from stepforge.pipelines.engines.gate import UNBOUNDED, EngineGate
from stepforge.pipelines.estimate.sample import draw
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.pipelines.run.model_sources import readable_rows, seeds_of
from stepforge.pipelines.run.shard_work import Engines, ShardWork
from stepforge.pipelines.run_folder.plan import plan_shards
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.labeled import Rejected
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import SolvedProblem

SEED = "Ann has 12 pens and buys 30 more. How many pens has she now?"
FAMILY = {"kind": "quantities", "levels": [1]}


def a_seed(question: str = SEED, answer: str | None = "42", solution: str = "") -> SourceItem:
    problem = Problem(
        id="set:1", source="set", domain="d", question=question, answer=answer, answer_kind="integer", group="g1"
    )
    return SourceItem(problem=problem, solutions=(Brought(text=solution),) if solution else ())


class Model:
    """Writes what it is told to, and solves by adding up the numbers of the question; it errs at a rate."""

    def __init__(self, reply: str = "", error_rate: float = 0.0, slip: str = "I add.") -> None:
        self.reply, self.error_rate, self.slip = reply, error_rate, slip

    async def __call__(self, text: str, seed: int) -> str:
        if "Reply in this form" in text or "Write the solution of somebody" in text:
            return self.reply
        total = sum(map(int, re.findall(r"\d+", text.partition("?")[0])))
        slip = Random(seed).random() < self.error_rate
        return f"{self.slip}\nAnswer: {total + 1 + seed % 97}" if slip else f"I add.\nAnswer: {total}"


def policy_of(model: Callable[..., Any]) -> PromptedPolicy:
    return PromptedPolicy(FunctionEngine(model, name="test"), PolicySettings(answer="stated"))


def make(
    part: ModelSource, model: Callable[..., Any], seed: SourceItem | None = None, partner: SourceItem | None = None
) -> Any:
    seeds = Seeds(seed or a_seed(), lambda: partner)
    return asyncio.run(part.make(0, seeds, policy_of(model), EqualGrader(), seed=5)).made


def written(way: str, **settings: Any) -> Written:
    return Written.model_validate({"seeds": FAMILY, "ways": {way: 1.0}, "chat": False, **settings})


REPHRASED = "Problem: Ann owned 12 pens. Then she bought 30. What is the number of her pens?"


def test_a_rephrased_problem_has_its_seeds_answer_group_and_lineage() -> None:
    problem = make(written("rephrase"), Model(REPHRASED)).problem
    assert (problem.question, problem.answer) == (REPHRASED.removeprefix("Problem: "), "42")
    assert (problem.group, problem.answer_kind, problem.source) == ("g1", "rational", "written")
    assert problem.lineage.model_dump() == {
        "parents": ("set:1",),
        "way": "rephrase",
        "settled_by": "agreement, expected",
        "agreement": 1.0,
        "solutions": 8,
    }


@pytest.mark.parametrize(
    ("way", "reply", "errors", "reason"),
    [
        ("rephrase", "Certainly! " + REPHRASED.replace("Problem:", "It reads"), 0.0, "not in the requested form"),
        ("rephrase", f"Problem: {SEED.upper()}", 0.0, "copies its seed"),
        ("harder", f"Problem: {SEED.replace('now', 'then')}\nFormula: 12 + 30", 0.0, "copies its seed"),
        ("harder", "Problem: Ann has 12 pens, and then 42.\nFormula: 12 + 30", 0.0, "asks nothing"),
        ("rephrase", REPHRASED.replace("30", "31"), 0.0, "does not keep the numbers"),
        ("rephrase", REPHRASED, 0.9, "its solutions do not agree"),
        ("numbers", REPHRASED, 0.0, "keeps the numbers"),
        ("numbers", "Problem: 5 and 6 pens?\nFormula: 5*6", 0.0, "its solutions contradict the writer's formula"),
        ("combine", REPHRASED, 0.0, "no second seed of its group to combine with"),
        ("backward", "Problem: Ann has 2 pens now. How many?", 0.0, "its solutions contradict the expected answer"),
        ("backward", "Problem: Ann has 12 and gets 30. How many?", 0.0, "states the number that it asks for"),
    ],
)  # fmt: skip
def test_why_a_problem_is_refused(way: str, reply: str, errors: float, reason: str) -> None:
    refused = make(written(way), Model(reply, errors))
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_solutions_that_state_a_false_equation_neither_agree_nor_disagree() -> None:
    slip = "12 + 30 = 52"
    assert make(written("rephrase"), Model(REPHRASED, 0.4, slip)).problem.lineage.agreement == 1.0
    assert make(written("rephrase"), Model(REPHRASED, 0.9, slip)).reason == "its solutions do not agree"


def test_solutions_over_which_the_engine_failed_do_not_disagree_and_if_they_are_most_it_failed() -> None:
    right = a_solution("right", "AB", "correct")
    failed = right.model_copy(update={"answer": None, "outcome": "undetermined", "finish": "error"})
    assert agreed([right, right, right, failed], "integer") == ("1", 1.0)
    with pytest.raises(NotSampled):
        agreed([right, failed, failed], "integer")


def test_a_formula_that_agrees_settles_and_one_that_cannot_be_read_does_not_count() -> None:
    reply = "Problem: Ann has 5 pens and buys 6 more. How many has she now?\nFormula: "
    assert make(written("numbers"), Model(reply + "5 + 6 = 11")).problem.lineage.settled_by == "agreement, formula"
    problem = make(written("numbers"), Model(reply + "add them")).problem
    assert (problem.answer, problem.lineage.settled_by) == ("11", "agreement")


def test_two_problems_of_a_group_are_combined() -> None:
    partner = a_seed("Bob has 3 pens. How many has he?", "3")
    partner = partner.model_copy(update={"problem": partner.problem.model_copy(update={"id": "set:2"})})
    made = make(written("combine"), Model("Problem: Ann has 42 pens and Bob 3. How many have both?"), partner=partner)
    assert (made.problem.answer, made.problem.lineage.parents) == ("45", ("set:1", "set:2"))


def test_either_seed_of_a_group_finds_the_other(tmp_path: Path) -> None:
    rows = [{"question": f"Ann has {n} pens?", "answer": "1", "of": str(max(1, n))} for n in range(99)]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seeds = {"kind": "problem_set", "path": str(tmp_path / "set.jsonl"), "group": "of"}
    part = written("combine", seeds=seeds, attempts=2)
    first, second = (seeds_of(part, 0, row) for row in range(2))
    assert first is not None and second is not None
    assert (first.partner(), second.partner()) == (second.seed, first.seed)


def test_a_seed_without_numbers_has_none_to_ask_for() -> None:
    assert make(written("backward"), Model(), a_seed("Is it so?")) == Refused("no number in the seed to ask for")


@pytest.mark.parametrize(
    ("text", "question", "formula"),
    [
        ("**Problem:** Ann has 3.\nHow many?\n\nFormula: 3*(4+5)\n", "Ann has 3.\nHow many?", "3*(4+5)"),
        ("The new Problem:\nOne?\nFormula: $3 + 4$ = 7\n\nSolution: 7", "One?", "$3 + 4$"),
        ("Problem: By the formula: one? Formula: 3 + 4", "By the formula: one?", "3 + 4"),
        ("Problem: One?", "One?", None),
    ],
)
def test_how_a_reply_is_read(text: str, question: str, formula: str | None) -> None:
    assert read_reply(text) == (question, formula)
    assert read_reply(text.replace("Problem", "Task")) is None


RATIONALE = "We begin with 12 pens.\nShe buys 30.\nSo 12 + 30 makes it.\nAnswer: 42"


@pytest.mark.parametrize(
    ("reply", "errors", "reason"),
    [
        (RATIONALE, 0.0, None),
        (RATIONALE.replace("She buys 30.", "The answer must be 42."), 0.0, "states the answer before it is reached"),
        (RATIONALE.replace("Answer: 42", "Answer: 41"), 0.0, "does not end at the answer"),
        ("Answer: 42", 0.0, "has no steps"),
        (RATIONALE, 1.0, "its first half does not lead to the answer"),
    ],
)
def test_a_rationale_must_hold_without_its_answer(reply: str, errors: float, reason: str | None) -> None:
    part = Rationales.model_validate({"seeds": FAMILY, "chat": False})
    made = make(part, Model(reply, errors))
    assert (made.reason if isinstance(made, Refused) else None) == reason
    if isinstance(made, SourceItem):
        assert [solution.text for solution in made.solutions] == [RATIONALE]
        assert (made.problem.group, made.problem.answer) == ("g1", "42")


REFERENCE = "one\ntwo\nthree\nAnswer: 42"


@pytest.mark.parametrize(
    ("able_from", "expected"),
    [(2, "prefix of 2 of 4 steps"), (0, "solved without help"), (4, "not solved even from before its last step")],
)
def test_a_problem_is_begun_with_as_little_of_its_reference_as_will_do(able_from: int, expected: str) -> None:
    async def model(text: str, seed: int) -> str:
        begun = text.partition("?\n")[2].count("\n")
        return f"so\nAnswer: {42 if begun >= able_from else 7}"

    made = make(Prefixes.model_validate({"seeds": FAMILY}), model, a_seed(solution=REFERENCE))
    if isinstance(made, Refused):
        assert made.reason == expected
    else:
        assert made.problem.lineage.way == expected
        assert [solution.text for solution in made.solutions] == ["one\ntwo\nso\nAnswer: 42"] * 4


def test_a_run_writes_solves_and_keeps_the_split(tmp_path: Path) -> None:
    """Attempts in, problems and rejections out, journaled as everything that is sampled."""
    rows = [{"q": f"Ann has {n} pens and buys {n + 1} more. How many?", "a": str(2 * n + 1)} for n in range(4)]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seeds = {"kind": "problem_set", "path": str(tmp_path / "set.jsonl"), "question": "q", "answer": "a"}
    sources = [
        {"kind": "written", "seeds": seeds, "chat": False, "ways": {"rephrase": 1}, "attempts": 6},
        {"kind": "prefixes", "seeds": {"kind": "quantities", "levels": [2]}, "attempts": 2},
    ]
    run = a_run(problems=None, generate=sources, policy={"answer": "stated"}, label=[{"kind": "oracle"}])
    plan = plan_shards(run, tmp_path)
    assert [(shard.source, shard.start, shard.stop) for shard in plan] == [(0, 0, 5), (0, 5, 6), (1, 0, 2)]
    layout = Layout(tmp_path)
    write_text(layout.run_file, run.toml())

    async def model(text: str, seed: int) -> str:
        if "Reply in this form" not in text:
            return await Model()(text, seed)
        asked = re.search(r"The problem:\n(.*)", text)
        first = "Ann has 0" in text
        return "no" if first or asked is None else f"Problem: Say that {asked[1].replace('buys', 'then gets')}"

    async def work() -> None:
        gate = EngineGate(FunctionEngine(model, name="test"), UNBOUNDED)
        shards = ShardWork(run, tmp_path, PooledGrader(), Engines({"engine": gate}))
        for stage in ("generate", "solve"):
            for shard in plan:
                done = await shards.do(stage, shard, Corpus())
                assert done.report.cost.rollouts or shard.source
        await shards.grader.close()

    asyncio.run(work())
    problems = read_shard(layout.shard("generate", 0), Problem)
    rejected = read_shard(layout.rejected("generate", 0), Rejected)
    seeds_by_id = {item.problem.id: item.problem for _, item in readable_rows(run, plan[0])}
    assert len(problems) == 3
    assert [(row.filter, row.reason) for row in rejected] == [
        ("written", "not in the requested form"),
        ("written", "not in the requested form"),
    ]
    for problem in problems:
        assert problem.lineage is not None
        parent = seeds_by_id[problem.lineage.parents[0]]
        assert (problem.group, problem.answer) == (parent.group, parent.answer)
    solved = read_shard(layout.shard("solve", 0), SolvedProblem)
    assert all(rollout.outcome == "correct" for row in solved for rollout in row.rollouts)
    assert not read_shard(layout.shard("generate", 2), Problem)  # no family's problem is solved by adding up
    assert not layout.brought(2).exists()


@pytest.mark.parametrize("part", [written("rephrase"), Prefixes.model_validate({"seeds": FAMILY})])
def test_an_engine_that_fails_refuses_nothing(part: ModelSource) -> None:
    """The attempt becomes a failure."""

    async def model(text: str, seed: int) -> str:
        raise ConnectionError("away")

    with pytest.raises(NotSampled):
        make(part, model, a_seed(solution=REFERENCE))


def test_an_estimate_counts_seeds_in_place_of_what_will_be_written() -> None:
    sources = [{"kind": "written", "seeds": FAMILY, "attempts": 30}]
    sample = draw(a_run(problems=None, generate=sources), 4)
    assert (sample.problems, len(sample.items)) == (30, 4)
    assert all(item.problem.source == "quantities" for item in sample.items)


def test_an_estimate_passes_over_seeds_that_cannot_be_read(tmp_path: Path) -> None:
    rows = [{"question": q, "answer": "1"} for q in ("Is it 1?", "", "Is it 3?")]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seeds = {"kind": "problem_set", "path": str(tmp_path / "set.jsonl"), "on_bad_row": "reject"}
    sample = draw(a_run(problems=None, generate=[{"kind": "written", "seeds": seeds, "attempts": 3}]), 3)
    assert sorted(item.problem.question for item in sample.items) == ["Is it 1?", "Is it 3?"]


def test_written_sources_need_names_of_their_own_and_shares() -> None:
    twice = [{"kind": "written", "seeds": FAMILY}, {"kind": "written", "seeds": FAMILY}]
    with pytest.raises(ValidationError, match="written is listed twice"):
        a_run(generate=twice)
    with pytest.raises(ValidationError, match="a share is negative, or all are 0"):
        written("rephrase", ways={"rephrase": 0.0})
