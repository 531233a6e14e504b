"""Step credit, trees, right paths and lengths: what they say, worked out by hand."""

import json
from math import exp

import pytest
from exported_rows import ROWS, labeled

from stepforge.labelers import OmegaPRM
from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.exports import (
    ProofVerification,
    RejectionSampling,
    RLPrompts,
    Routing,
    SearchTree,
    ShortLong,
    StepAdvantages,
)
from stepforge.pipelines.exports.marked import Measured
from stepforge.pipelines.exports.right_paths import RightPath, picked, right_paths
from stepforge.pipelines.exports.rl_prompts import band
from stepforge.pipelines.exports.step_advantages import StepAdvantagesRow, credits, episode, min_form
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Start, Step


def one_problem() -> LabeledProblem:
    return labeled(OmegaPRM(k=8, grow=False), high=0.5)


def test_credit_is_value_after_less_value_before_and_spans_share_it() -> None:
    def known(value: float) -> Measured:
        return Measured(value, value - 0.1, value + 0.1)

    found = credits(known(0.5), (known(0.7), None, known(0.2), Measured(0.0, 0.0, 0.0)))
    assert [round(change.value, 9) for change in found] == [0.2, -0.5, -0.5, -0.2]
    assert found[0].low == pytest.approx(0.0)
    assert found[0].high == pytest.approx(0.4)
    assert found[3].low == pytest.approx(-0.3)


def test_min_form_gives_the_credit_to_the_worst_step() -> None:
    shared = min_form((0.2, -0.5, 0.1), 0.1)
    weights = [exp(-a / 0.1) for a in (0.2, -0.5, 0.1)]
    assert shared == pytest.approx([a * w / sum(weights) for a, w in zip((0.2, -0.5, 0.1), weights, strict=True)])
    assert shared[1] == pytest.approx(-0.5, abs=0.01)
    assert min_form((1e6, -1e6), 1e-3) == pytest.approx((0.0, -1e6))


def test_advantages_add_up_to_the_outcome_where_every_step_was_measured() -> None:
    rows = [row for problem in ROWS for row in StepAdvantages().rows(problem)]
    full = [row for row in rows if None not in row.values]
    assert full
    for row in full:
        assert row.value_before + sum(row.advantages) == pytest.approx(row.reward)
        for low, value, high in zip(row.advantage_low, row.advantages, row.advantage_high, strict=True):
            assert low <= value <= high
    wrong = [row for row in full if row.reward == 0]
    assert all(min(row.advantages) < 0 for row in wrong)


def test_a_trace_has_credit_and_mask_for_each_token_and_none_for_a_tools() -> None:
    row = {
        "problem_id": "p",
        "solution_id": "s",
        "question": "Q?",
        "steps": ["a\n", "4\n", "b"],
        "learned": [True, False, True],
        "token_ids": [[1, 2], [], [3]],
        "logprobs": [[-0.1, -0.2], [], [-0.3]],
        "reward": 1.0,
        "advantage_low": [0.0, 0.0, 0.0],
        "advantage_high": [0.1, 0.1, 0.1],
    }
    asked, first, tool, last = episode(StepAdvantagesRow.model_construct(**row), [0.5, 0.5, 0.25])["traces"][0]["nodes"]
    assert asked["message"]["role"] == "user"
    assert (first["token_ids"], first["mask"], first["advantages"]) == ([1, 2], [True, True], [0.5, 0.5])
    assert (tool["message"]["role"], tool["sampled"], tool["advantages"]) == ("tool", False, None)
    assert (last["parent"], last["logprobs"], last["advantages"]) == (2, [-0.3], [0.25])


def test_tokens_have_the_credit_of_their_step() -> None:
    problem = one_problem()
    solution = problem.solutions[0]
    steps = tuple(Step(text=s.text, token_ids=(i, i)) for i, s in enumerate(solution.rollout.steps))
    solution = solution.model_copy(update={"rollout": solution.rollout.model_copy(update={"steps": steps})})
    (row,) = StepAdvantages().rows(problem.model_copy(update={"solutions": (solution,)}))
    assert row.token_advantages == tuple(a for advantage in row.advantages for a in (advantage, advantage))
    line = json.loads(json.dumps(StepAdvantages(traces="min_form").line(row.model_dump())))
    assert line["traces"][0]["nodes"][1]["advantages"] == list(row.token_min_form)


def test_the_tree_holds_every_rollout_and_counts_it_where_it_went() -> None:
    problem = one_problem()
    (row,) = SearchTree().rows(problem)
    rollouts = [*(s.rollout for s in problem.solutions), *problem.evidence]
    assert [path.rollout for path in row.paths] == [rollout.id for rollout in rollouts]
    for path, rollout in zip(row.paths, rollouts, strict=True):
        text = "".join(row.nodes[place].text for place in path.nodes)
        assert text.endswith(rollout.text)
        assert path.sampled == len(rollout.steps)
        assert [row.nodes[place].depth for place in path.nodes] == list(range(1, len(path.nodes) + 1))
    assert sum(node.ended for node in row.nodes) == len(rollouts)
    assert {path.rollout: path.first_error for path in row.paths if path.first_error is not None} == {
        "good": -1,
        "bad": 2,
    }
    wrong_step = next(node for node in row.nodes if node.text == "C\n")
    assert (wrong_step.successes, wrong_step.value < 0.2) == (0, True)
    (root,) = (node for node in row.nodes if node.parent is None)
    assert root.successes >= 1


def test_a_completion_from_the_bare_question_begins_at_the_root() -> None:
    """Evidence of the bare question has a start that names no rollout."""
    problem = one_problem()
    fresh = problem.solutions[0].rollout.model_copy(update={"id": "fresh", "start": Start(rollout="", steps=0)})
    problem = problem.model_copy(update={"evidence": (fresh,)})
    (row,) = SearchTree().rows(problem)
    assert row.paths[-1].nodes == row.paths[0].nodes
    assert row.nodes[0].successes == 2


def test_right_completions_count_only_from_prefixes_without_an_error() -> None:
    problem = one_problem()
    paths = right_paths(problem)
    assert [path.id for path in paths if path.labeled] == ["good"]
    others = [path for path in paths if not path.labeled]
    assert others
    assert all("C" not in path.text and path.text.endswith("end") for path in others)
    rows = list(RejectionSampling(max_per_problem=99).rows(problem))
    assert {row.completion for row in rows} == {path.text for path in paths}
    assert [row.labeled for row in rows] == [True] + [False] * (len(rows) - 1)
    assert [row.completion for row in RejectionSampling(completions="none").rows(problem)] == ["a\nb\nc\n"]


def test_where_the_truth_is_known_no_completion_has_a_wrong_step() -> None:
    for problem in ROWS:
        for path in right_paths(problem):
            rollout = problem.solutions[0].rollout.model_copy(update={"steps": path.steps, "outcome": "correct"})
            assert path.labeled or oracle_verdict(problem.problem, rollout).first_error is None


def test_the_best_path_has_the_highest_lowest_value_and_the_diverse_one_shares_least() -> None:
    def path(name: str, letters: str, value: float, labeled: bool = False) -> RightPath:
        return RightPath(name, tuple(Step(text=letter) for letter in letters), 3, labeled, value)

    paths = [path("own", "abc", 0.1, True), path("near", "abd", 0.9), path("far", "xyz", 0.2)]
    assert [p.id for p in picked(paths, "best", 2)] == ["own", "near"]
    assert [p.id for p in picked(paths, "diverse", 2)] == ["own", "far"]
    assert [p.id for p in picked(paths, "none", 3)] == ["own"]
    assert len(picked(paths, "diverse", 9)) == 3


def test_prompts_for_rl_state_answer_and_band() -> None:
    assert [band(rate) for rate in (0, 0.25, 0.26, 0.74, 0.75, 1)] == (
        ["never", "hard", "medium", "medium", "easy", "always"]
    )
    problem = one_problem()
    (row,) = RLPrompts(layout="verl").rows(problem)
    columns = row.model_dump()
    assert columns["reward_model"] == {"style": "rule", "ground_truth": "1"}
    assert columns["prompt"][0]["content"].startswith("Q p?")
    assert (columns["solved"], columns["n"], columns["band"]) == (1, 2, "medium")
    unknown = problem.model_copy(update={"problem": problem.problem.model_copy(update={"answer": None})})
    assert list(RLPrompts().rows(unknown)) == []


def test_lengths_say_what_a_problem_needs() -> None:
    problem = one_problem()
    (row,) = Routing().rows(problem)
    shortest = min(path.tokens for path in right_paths(problem))
    assert (row.route, row.budget, row.solved, row.n) == ("think", shortest, 1, 2)
    assert row.needed_share == pytest.approx(shortest / row.mean_tokens)
    assert next(iter(Routing(answer_from=0.5).rows(problem))).route == "answer"
    for pair in (pair for problem in ROWS for pair in ShortLong().rows(problem)):
        assert pair.rejected_length >= 1.25 * pair.chosen_length


def test_a_proof_is_right_exactly_where_no_step_is_wrong() -> None:
    solutions = {s.rollout.id: s for problem in ROWS for s in problem.solutions}
    rows = [row for problem in ROWS for row in ProofVerification().rows(problem)]
    assert {row.ground_truth_verify_score for row in rows} == {0.0, 1.0}
    for row in rows:
        solution = solutions[row.solution_id]
        assert row.proof == solution.rollout.text
        assert row.ground_truth_verify_score == float(solution.verdict.finds_no_error)


def test_supplied_solutions_get_no_credit() -> None:
    problem = one_problem()
    supplied = tuple(
        s.model_copy(update={"rollout": s.rollout.model_copy(update={"tokens": 0})}) for s in problem.solutions
    )
    assert list(StepAdvantages().rows(problem.model_copy(update={"solutions": supplied}))) == []
    (row,) = RLPrompts().rows(problem.model_copy(update={"solutions": supplied}))
    assert row.band == "unknown"
