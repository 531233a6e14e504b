"""What labels are worth: rows, budgets, recordings, and the figures of the comparison."""

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
from imported_later import Later, torch

from benchmarks.usefulness.arms import OUTCOMES
from benchmarks.usefulness.labeling import affordable, by_agreement, by_oracle, labeling_tokens
from benchmarks.usefulness.pools import Pool, chain_length, problems_of, without
from benchmarks.usefulness.prm_exam import NONE, Answers, Case, first_below, padded_scores
from benchmarks.usefulness.prm_rows import PrmRow, prm_rows
from benchmarks.usefulness.recording import Reader, Recording
from benchmarks.usefulness.resampling import estimate, f1_samples, mean_samples, weights
from stepforge.pipelines.scorers import Surprise
from stepforge.pipelines.scoring.best_of_n import any_right, ballot, best, choices, majority, weighted
from stepforge.schemas.labeled import Cost, LabeledProblem, LabelerCost, Verdict
from stepforge.schemas.problem import Problem, Quantity, Truth
from stepforge.schemas.rollout import Outcome, PolicyIdentity, Rollout, SolvedProblem, Start, Step

prm_bench = Later("benchmarks.usefulness.prm_bench")
train_scorer = Later("stepforge.pipelines.commands.train_scorer")
heads = Later("stepforge.pipelines.scorers.surprise_head")
IDENTITY = PolicyIdentity(
    model="m", digest="d", engine="e", engine_version="1", temperature=1, top_p=1, max_tokens=9, prompt="{question}\n"
)
RIGHT = ("a = 1\n", "b = 1 + 1 = 2\n", "Answer: 2")
WRONG = ("a = 1\n", "b = 1 + 1 = 3\n", "Answer: 3")


def problem(name: str = "p") -> Problem:
    truth = Truth(
        quantities=(Quantity(name="a", expression="", value="1"), Quantity(name="b", expression="1 + 1", value="2"))
    )
    return Problem(
        id=name, source="s", domain="d", question=f"{name}?", answer="2", answer_kind="integer", group="g", truth=truth
    )


def rollout(name: str, steps: tuple[str, ...], outcome: Outcome, start: Start | None = None) -> Rollout:
    cut = tuple(Step(text=text) for text in steps)
    answer = steps[-1].removeprefix("Answer: ")
    return Rollout(id=name, start=start, steps=cut, answer=answer, outcome=outcome, finish="stop", tokens=10)


def solved(name: str = "p") -> SolvedProblem:
    rollouts = (rollout("r", RIGHT, "correct"), rollout("r2", RIGHT, "correct"), rollout("w", WRONG, "wrong"))
    return SolvedProblem(problem=problem(name), rollouts=rollouts, policy=IDENTITY)


def labeled(name: str = "p", tokens: int = 5) -> LabeledProblem:
    row = by_oracle([solved(name)])[0]
    verdicts = [Verdict(labeler="x", first_error=s.verdict.first_error) for s in row.solutions]
    pairs = zip(row.solutions, verdicts, strict=True)
    solutions = tuple(s.model_copy(update={"verdict": verdict}) for s, verdict in pairs)
    costs = (LabelerCost(labeler="x", cost=Cost(generated_tokens=tokens)),)
    return row.model_copy(update={"solutions": solutions, "costs": costs})


def test_rows_mask_what_lies_behind_the_first_error() -> None:
    right, wrong = prm_rows([labeled()], "first_error")
    assert right.labels == (1.0, 1.0, 1.0)
    assert wrong.labels == (1.0, 0.0, None)
    assert wrong.completions == ("a = 1", "b = 1 + 1 = 3", "Answer: 3")


def test_outcome_rows_say_nothing_of_steps() -> None:
    every, last = (prm_rows([labeled()], OUTCOMES[name]) for name in OUTCOMES)
    assert [row.labels for row in every] == [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0)]
    assert [row.labels for row in last] == [(None, None, 1.0), (None, None, 0.0)]


def test_posterior_rows_are_the_chance_that_no_error_came_yet() -> None:
    row = labeled()
    verdict = Verdict(labeler="x", first_error=1, posterior=(0.1, 0.6, 0.1, 0.2))
    solutions = tuple(s.model_copy(update={"verdict": verdict}) for s in row.solutions)
    rows = prm_rows([row.model_copy(update={"solutions": solutions})], "posterior")
    assert rows[0].labels == pytest.approx((0.9, 0.3, 0.2))


def test_a_budget_pays_for_labels_and_overhead_and_nothing_is_bought_beyond_it() -> None:
    rows = [labeled(name, tokens) for name, tokens in (("a", 5), ("b", 10), ("c", 1))]
    assert [row.problem.id for row in affordable(rows, 15, 0)] == ["a", "b"]
    assert [row.problem.id for row in affordable(rows, 16, 0)] == ["a", "b", "c"]
    assert [row.problem.id for row in affordable(rows, 20, 4)] == ["a"]


def test_agreement_costs_both_labelers_and_abstains_where_they_differ() -> None:
    other = labeled()
    blind = tuple(s.model_copy(update={"verdict": Verdict(labeler="y", first_error=None)}) for s in other.solutions)
    row = by_agreement([labeled()], [other.model_copy(update={"solutions": blind})])[0]
    assert [s.verdict.abstained for s in row.solutions] == [False, False, True]
    assert labeling_tokens(row) == 10


class CountingPolicy:
    """Goes on with numbered answers and counts what it drew."""

    identity = IDENTITY

    def __init__(self) -> None:
        self.drawn = 0

    async def sample(self, problem: Problem, prefix: tuple[Step, ...], *, n: int, seed: int) -> list[Rollout]:
        self.drawn += n
        return [rollout(f"{seed}-{i}", ("Answer: 2",), "undetermined") for i in range(n)]


def test_a_recording_gives_every_reader_the_same_draws_and_draws_none_twice(tmp_path: Path) -> None:
    policy = CountingPolicy()
    recording = Recording(tmp_path, 1)
    recording.policy = policy  # type: ignore[assignment]
    prefix = (Step(text="a = 1\n"),)

    async def read() -> tuple[list[str], list[str]]:
        first, second = (Reader(recording, recording.policy) for _ in range(2))  # type: ignore[arg-type]
        one = [r.id for n in (2, 3) for r in await first.sample(problem(), prefix, n=n, seed=0)]
        return one, [r.id for r in await second.sample(problem(), prefix, n=4, seed=9)]

    one, two = asyncio.run(read())
    assert len(set(one)) == 5
    assert two == one[:4]
    assert policy.drawn == 5
    recording.save()
    again = Recording(tmp_path, 1)
    assert [r.id for r in asyncio.run(again.first(problem(), prefix, 5))] == one
    assert policy.drawn == 5


def test_pools_keep_to_their_chain_lengths_and_share_no_question() -> None:
    families = [{"kind": "linear_equation", "levels": [5, 6]}]
    settings = {"problems": 12, "solutions": 1, "families": families}
    long = problems_of(Pool.model_validate({**settings, "seed": 1, "shortest_chain": 9}))
    assert min(map(chain_length, long)) >= 9
    assert len({p.question for p in long}) == 12
    rows = [SolvedProblem(problem=p, rollouts=(), policy=IDENTITY) for p in long]
    assert without(rows, rows[:5]) == rows[5:]


def cases() -> list[Case]:
    return [
        Case(0, "q", ("a", "b"), 1, answer_correct=False),
        Case(0, "q", ("a", "c"), None, answer_correct=True),
        Case(1, "q", ("a", "b"), 0, answer_correct=True),
        Case(1, "q", ("a", "c"), None, answer_correct=True),
    ]


def test_f1_counts_exact_first_errors_and_clean_solutions() -> None:
    scores = [[0.9, 0.1], [0.9, 0.8], [0.9, 0.1], [0.1, 0.9]]
    found = Answers(cases(), 2).tally(padded_scores(scores), 0.5)
    assert first_below(padded_scores([[0.9, 0.1, 0.0], [0.9]]), 0.5).tolist() == [1, NONE]
    assert found.f1() == pytest.approx(0.5)  # one of two erroneous, one of two clean
    assert found.f1(np.array([1.0, 0.0])) == 1.0


def test_the_threshold_is_the_middle_of_the_best_ones() -> None:
    scores = padded_scores([[0.9, 0.2], [0.9, 0.8], [0.2, 0.9], [0.9, 0.9]])
    answers = Answers(cases(), 2)
    assert 0.2 < answers.best_threshold(scores) < 0.8
    assert answers.tally(scores, answers.best_threshold(scores)).f1() == 1.0


def test_step_auc_stays_within_a_problem_and_before_the_error() -> None:
    scores = [[0.9, 0.1], [0.9, 0.8], [0.7, 0.0], [0.6, 0.9]]
    areas = Answers(cases(), 3).step_aucs(padded_scores(scores))
    assert areas[0] == 1.0
    assert areas[1] == 0.5
    assert math.isnan(areas[2])


def test_resamples_pair_arms_and_begin_with_the_figure_itself() -> None:
    drawn = weights(2, 200, 1)
    scores = ([[0.9, 0.1], [0.9, 0.8]] * 2, [[0.9, 0.9]] * 4)
    first, second = (Answers(cases(), 2).tally(padded_scores(s), 0.5) for s in scores)
    gap = estimate(f1_samples([first], drawn) - f1_samples([second], drawn))
    assert gap.value == pytest.approx(first.f1() - second.f1())
    assert gap.low <= gap.value <= gap.high
    means = mean_samples([np.array([1.0, np.nan]), np.array([0.5, 1.0])], weights(2, 50, 2))
    assert means[0] == pytest.approx((1.0 + 0.75) / 2)


def test_choosing_among_solutions() -> None:
    votes = ballot(solved())
    everything = choices(3, 3, 10, "p")
    assert majority(votes, everything) == 1.0
    assert weighted(votes, everything, np.array([0.1, 0.1, 0.9])) == 0.0
    assert best(votes, everything, np.array([0.1, 0.9, 0.9])) == 0.5  # a tie of a right and a wrong one
    assert any_right(votes, everything) == 1.0
    pairs = choices(3, 2, 40, "p")
    assert pairs.shape == (40, 2)
    assert all(len(set(pair)) == 2 for pair in pairs.tolist())


def test_readings_are_causal_and_see_a_wrong_value() -> None:
    question = "A sequence starts with 3. Each next term is 2 times the term before minus 1. Find term 4."
    right = ("t2 = 2 * 3 - 1 = 5", "t3 = 2 * 5 - 1 = 9", "t4 = 2 * 9 - 1 = 17", "Answer: 17")
    wrong = ("t2 = 2 * 3 - 1 = 5", "t3 = 2 * 5 - 1 = 7", "t4 = 2 * 7 - 1 = 13", "Answer: 13")
    good, bad = train_scorer.read_solutions(Surprise(), [(question, right), (question, wrong)])
    assert good.shape == (4, len(heads.FEATURES))
    assert torch.allclose(good[0], bad[0], atol=1e-4)
    assert prm_bench.lowest_chance(good)[1] > 0.5 > prm_bench.lowest_chance(bad)[1]
    one = torch.zeros(1, len(heads.FEATURES))
    one[0, heads.FEATURES.index("lowest, new numbers")] = math.log(0.25)
    assert prm_bench.lowest_chance(heads.squeeze(one))[0] == pytest.approx(0.25)


def test_a_head_learns_and_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [PrmRow(prompt="q", completions=("a", "b"), labels=(1.0, float(i % 2))) for i in range(40)]
    read = [torch.tensor([[3.0] * len(heads.FEATURES), [3.0 * (i % 2)] * len(heads.FEATURES)]) for i in range(40)]
    head = heads.train_head(read, [row.labels for row in rows], heads.HeadTraining(steps=200, batch=32), 1)
    scores = head.read_scores(read[:2])
    assert scores[0][1] < 0.2
    assert scores[1][1] > 0.8
    head.save(tmp_path)
    assert heads.SurpriseHead.load(tmp_path).read_scores(read[:2]) == scores
