"""Wrong calls from Python: an error that says what to do, not labels that all abstain."""

from typing import Any

import pytest

import stepforge
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine

TASK = stepforge.Task(question="Start with 7. Add 5.", answer="12", solutions=("7 + 5 = 13\nAnswer: 13",))


async def complete(text: str, seed: int) -> str:
    return "7 + 5 = 12\nAnswer: 12"


def blocking(text: str, seed: int) -> str:
    return "Answer: 12"


async def without_seed(text: str) -> str:
    return "Answer: 12"


async def failing(text: str, seed: int) -> str:
    raise TimeoutError("the model is gone")


async def silent(text: str, seed: int) -> Any:
    return None


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"labeler": "omega"}, stepforge.BadInput, "no kind 'omega'; did you mean omega_prm"),
        ({"labeler": []}, stepforge.BadInput, "none is given"),
        ({"labeler": "consensus"}, stepforge.BadInput, "need another labeler"),
        ({"labeler": ["omega_prm", "omega_prm"]}, stepforge.BadInput, "omega_prm is listed twice"),
        ({"labeler": {"kind": "omega_prm"}}, stepforge.BadInput, "neither the name of a kind nor a labeler"),
        ({"engine": min}, stepforge.RunFailed, "8 of 8 calls"),
        ({"labeler": "reward_model"}, stepforge.BadInput, "needs a reward model"),
        ({"labeler": "judge"}, stepforge.BadInput, "a function has no chat"),
        ({"engine": blocking}, stepforge.BadInput, "not async"),
        ({"engine": without_seed}, stepforge.BadInput, "called as complete"),
        ({"engine": "a/model"}, stepforge.BadInput, "neither an engine nor a function"),
        ({"engine": failing}, stepforge.RunFailed, "8 of 8 calls .* the model is gone"),
        ({"engine": silent}, stepforge.RunFailed, "NoneType"),
        ({"engine": failing, "tasks": [TASK.model_copy(update={"solutions": ()})]}, stepforge.RunFailed, "no solution"),
        ({"scorer": "a/model"}, stepforge.BadInput, "scorer: 'a/model' is neither settings"),
        ({"tasks": None}, stepforge.BadInput, "a list of stepforge.Task"),
        ({"tasks": TASK}, stepforge.BadInput, "tasks: a Task; give a list of stepforge.Task"),
        ({"tasks": [TASK.model_copy(update={"answer": None})]}, stepforge.BadInput, "neither an answer"),
        (
            {"tasks": [TASK.model_copy(update={"answer": "7 + 5 is so.\n####"})]},
            stepforge.BadInput,
            "no answer is found",
        ),
    ],
)
def test_a_wrong_call_is_refused(changed: dict[str, Any], error: type[Exception], said: str) -> None:
    call: dict[str, Any] = {"tasks": [TASK], "labeler": "omega_prm", "engine": complete, **changed}
    with pytest.raises(error, match=said):
        stepforge.label_solutions(**call)


@pytest.mark.parametrize("answer", ["#### 12", "7 + 5 is twelve.\n#### 12", r"So it is \boxed{12}.", "12"])
def test_a_reference_may_be_a_worked_solution(answer: str) -> None:
    task = TASK.model_copy(update={"answer": answer, "solutions": (*TASK.solutions, "7 + 5 = 12\n#### 12")})
    (labeled,) = stepforge.label_solutions([task], engine=complete)
    assert labeled.problem.answer == "12"
    assert [solution.rollout.outcome for solution in labeled.solutions] == ["wrong", "correct"]


def test_the_engine_is_closed_where_the_reward_model_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[ScriptedEngine] = []

    async def close(engine: ScriptedEngine) -> None:
        closed.append(engine)

    class Missing:
        async def open(self) -> stepforge.Scorer:
            raise stepforge.BadInput("no such model")

    monkeypatch.setattr(ScriptedEngine, "close", close)
    with pytest.raises(stepforge.BadInput, match="no such model"):
        stepforge.label_solutions([TASK], engine=stepforge.ScriptedEngineSettings(), scorer=Missing())
    assert len(closed) == 1


def test_some_failed_calls_are_a_warning() -> None:
    async def flaky(text: str, seed: int) -> str:
        return await (failing if seed % 2 else complete)(text, seed)

    with pytest.warns(UserWarning, match="calls of the function failed, the first: TimeoutError"):
        stepforge.label_solutions([TASK], "omega_prm", engine=flaky)


def test_what_is_no_text_cannot_be_graded_or_cut() -> None:
    with pytest.raises(stepforge.BadInput, match="texts, not int"):
        stepforge.grade(12, "Answer: 12")  # type: ignore[arg-type]
    with pytest.raises(stepforge.BadInput, match="did you mean blank_line"):
        stepforge.cut("a", "blankline")
    for text, segmenter, said in ((None, "line", "a NoneType cannot be cut"), ("a", None, "None is neither")):
        with pytest.raises(stepforge.BadInput, match=said):
            stepforge.cut(text, segmenter)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, 5, "12", {"a": "b"}, ["12"], [("1",)], [("1", "2", "3")], [None], [("1", 2)]])
def test_what_are_no_pairs_cannot_be_graded_or_verified(given: Any) -> None:
    for call in (stepforge.grade_all, stepforge.verify):
        with pytest.raises(stepforge.BadInput, match=r"pair|texts"):
            call(given)


def test_rewards_read_messages_in_parts_and_know_a_missing_reference() -> None:
    parts = [{"type": "text", "text": "So the answer "}, {"type": "text", "text": "is 5."}]
    chats = [[{"role": "assistant", "content": content}] for content in (parts, None, "The answer is 5.")]
    assert stepforge.trl_reward()(completions=chats, solution=[5, 5, float("nan")]) == [1.0, 0.0, None]
    assert stepforge.verl_reward("s", "The answer is 5.", 5) == {"score": 1.0, "undetermined": 0.0}  # type: ignore[arg-type]
    with pytest.raises(stepforge.BadInput, match="no column 'solution'"):
        stepforge.trl_reward()(completions=["5"], answer=["5"])
