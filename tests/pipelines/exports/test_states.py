"""The states of a question and the tree that they form."""

from exported_rows import rows_of
from scripted_rows import scripted_rows

from stepforge.labelers import OmegaPRM
from stepforge.pipelines.exports import States
from stepforge.schemas.rollout import SUPPLIED


def test_every_state_goes_on_from_its_parent_and_holds_what_was_counted() -> None:
    problems = scripted_rows([OmegaPRM(k=4, search_limit=30)], 6)
    for problem in problems:
        rows = rows_of(States(), [problem])
        whole = ["".join(row.steps) for row in rows]
        assert whole[0] == ""
        assert [row.state for row in rows] == list(range(len(rows)))
        assert rows[0].parent == -1
        for row, text in zip(rows[1:], whole[1:], strict=True):
            assert text.startswith(whole[row.parent])
            assert len(row.steps) > len(rows[row.parent].steps)
            assert row.low <= row.value == row.successes / row.trials <= row.high
        known = [r.outcome for r in (*problem.evidence, *(s.rollout for s in problem.solutions))]
        assert sum(row.trials for row in rows) == sum(outcome != "undetermined" for outcome in known)


def test_a_growing_tree_has_states_beside_the_given_solutions() -> None:
    found = []
    for problem in scripted_rows([OmegaPRM(k=4, search_limit=30)], 6):
        given = ["".join(step.text for step in s.rollout.steps) for s in problem.solutions]
        states = ["".join(row.steps) for row in rows_of(States(), [problem])]
        found += [all(not text.startswith(state) for text in given) for state in states]
    assert any(found)


def test_supplied_solutions_are_no_completions_of_the_question() -> None:
    (problem,) = scripted_rows([OmegaPRM(k=4, grow=False)], 1)
    policy = problem.policy.model_copy(update={"model": SUPPLIED})
    supplied = problem.model_copy(update={"policy": policy, "evidence": ()})
    assert rows_of(States(), [problem])
    assert rows_of(States(), [supplied]) == []
