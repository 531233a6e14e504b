"""Tasks of reasoning-gym: drawn by hashed seeds, their own scorers asked in isolation."""

from importlib.util import find_spec

import pytest
from fakes import outcomes

from stepforge.generators.families.reasoning_gym import ReasoningGym
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem

pytestmark = [
    pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="pip install 'stepforge[gym]'"),
    pytest.mark.slow,  # the package takes seconds to import, in each locked process
    pytest.mark.filterwarnings("ignore"),
]


def test_items_stand_alone_and_differ() -> None:
    part = ReasoningGym(task="chain_sum")
    problems = [part.item(3, i) for i in range(20)]
    assert part.item(3, 13) == problems[13]
    assert len({p.question for p in problems}) == 20
    assert not {p.question for p in problems} & {part.item(4, i).question for i in range(20)}


def test_an_answer_is_compared_where_the_scorer_does_no_more() -> None:
    problem = ReasoningGym(task="gcd").item(1, 0)
    assert problem.verifier is None
    assert problem.answer is not None
    assert outcomes(problem, problem.answer, f"{problem.answer}1") == ["correct", "wrong"]


def test_a_scorer_of_its_own_is_asked_in_isolation() -> None:
    problem = ReasoningGym(task="countdown", options={"min_numbers": 3, "max_numbers": 3}).item(1, 0)
    right = right_answer(problem)
    hostile = "<answer>__import__('os')._exit(0)</answer>"
    found = outcomes(problem, f"Answer: {right}", f"Answer: {right} + 1", "I do not know", hostile)
    assert found[:3] == ["correct", "wrong", "wrong"]
    assert found[3] != "correct"


def right_answer(problem: Problem) -> str:
    import json

    import reasoning_gym

    source = json.loads(problem.kept[0].value)
    return str(
        reasoning_gym.create_dataset(source["task"], seed=source["seed"], size=1, **source["options"])[0]["answer"]
    )


@pytest.mark.parametrize("part", [ReasoningGym(task="no_such_task"), ReasoningGym(task="gcd", options={"nothing": 1})])
def test_what_cannot_be_drawn_is_named_before_the_run(part: ReasoningGym) -> None:
    with pytest.raises(BadInput, match=f"task '{part.task}'"):
        part.check()
