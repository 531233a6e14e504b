"""Verdicts for reinforcement learning: over HTTP, from Python, and as trainers' reward functions."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from command_line import refused

import stepforge
from stepforge.pipelines.verification import verdicts
from stepforge.pipelines.verification.own_verifier import OwnVerifier
from stepforge.pipelines.verification.service import verify_app
from stepforge.pipelines.verification.verdicts import AnswerVerifier, Item, Verified, VerifierLimits
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.protocols import EngineDead, EngineIdentity, Scorer, StepScores

TOKEN = "t"  # noqa: S105
PLAIN = [("The answer is 4.", "4"), ("The answer is 5.", "#### 4"), (r"So \boxed{\frac{1}{2}}.", "0.5"), ("", "4")]
OUTCOMES = ["correct", "wrong", "correct", "wrong"]


class _Scores:
    """A reward model with scores of its choice."""

    identity = EngineIdentity(model="m", digest="", engine="test", version="")

    def __init__(self, scores: Sequence[float] = (), error: str | None = None, dead: bool = False) -> None:
        self.scores, self.error, self.dead = tuple(scores), error, dead

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        if self.dead:
            raise EngineDead("the model is gone")
        return [StepScores(scores=self.scores, error=self.error) for _ in solutions]

    async def close(self) -> None:
        return None


@pytest.fixture(scope="module")
def verifier() -> Iterator[AnswerVerifier]:
    made = AnswerVerifier()
    yield made
    asyncio.run(made.close())


def _post(verifier: Any, path: str, body: Any, *, scorer: Scorer | None = None, **limits: Any) -> httpx.Response:
    app = verify_app(verifier, token=TOKEN, limits=VerifierLimits(**limits), scorer=scorer)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            sent = {"content": body} if isinstance(body, bytes) else {"json": body}
            return await client.post(f"{path}?token={TOKEN}", **sent)  # type: ignore[arg-type]

    return asyncio.run(ask())


def _items(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"items": [{"response": response, "reference": reference} for response, reference in pairs]}


def test_a_batch_is_answered_in_order(verifier: AnswerVerifier) -> None:
    found = _post(verifier, "/verify", _items(PLAIN)).json()["verdicts"]
    assert [one["outcome"] for one in found] == OUTCOMES
    assert found[0]["extracted"] == "4"


def test_an_answer_in_words_may_be_a_sentence(verifier: AnswerVerifier) -> None:
    pairs = [("so\nAnswer: Ada is a pet", "Ada is a pet"), ("Answer: Ada is a toad", "Ada is a pet")]
    body = {"items": [item | {"kind": "text"} for item in _items(pairs)["items"]]}
    found = _post(verifier, "/verify", body).json()["verdicts"]
    assert [one["outcome"] for one in found] == ["correct", "wrong"]


def test_openrlhf_gets_rewards_and_what_is_undetermined_is_flagged(verifier: AnswerVerifier) -> None:
    prompts = ["Q 4? "] * 3
    query = [prompts[0] + "The answer is 4.", prompts[1] + "The answer is 5.", prompts[2] + "The answer is 4."]
    body = {"query": query, "prompts": prompts, "labels": ["4", "4", "no frame. And nothing. Else 3 words"]}
    assert _post(verifier, "/openrlhf", body).json() == {
        "rewards": [1.0, 0.0, 0.5],
        "scores": [1.0, 0.0, 0.5],
        "extra_logs": {"undetermined": [0.0, 0.0, 1.0]},
    }
    assert _post(verifier, "/openrlhf", {**body, "labels": []}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 422, "JSON"),
        ({"items": [{"response": "4"}]}, 422, "items.0.reference"),
        ({"items": [], "more": 1}, 422, "more"),
        (_items(PLAIN * 3), 413, "at most 10"),
    ],
)
def test_a_bad_request_is_one_line(body: Any, status: int, error: str, verifier: AnswerVerifier) -> None:
    answer = _post(verifier, "/verify", body, items=10)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert error in answer.json()["error"]


def test_what_cannot_be_decided_is_undetermined_and_never_wrong(verifier: AnswerVerifier) -> None:
    strange = [
        ("x" * (verdicts.RESPONSE_CHARACTERS + 1), "4"),
        ("The answer is 9^{9^{9^{9}}}.", "4"),
        ("The answer is 4.", "Not an answer. Two sentences with words. And 3"),
        ("\ud800", "4"),
    ]
    found = asyncio.run(verifier.verify([Item(response=r, reference=a) for r, a in strange], client="c", seconds=20))
    assert [one.outcome for one in found[:3]] == ["undetermined"] * 3
    assert all(one.reward is None for one in found[:3])
    assert found[0].reason is not None and "characters" in found[0].reason


@pytest.mark.parametrize(
    ("error", "reason"), [(RunFailed("no process starts"), "no process starts"), (None, "the request timed out")]
)
def test_processes_that_fail_or_never_answer_leave_it_undetermined(
    error: RunFailed | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> list[Verified]:
        made, pending = AnswerVerifier(), Future[Any]()
        if error is not None:
            pending.set_exception(error)
        monkeypatch.setattr(made._grader, "begin", lambda *arguments: pending)
        return await made.verify([Item(response="The answer is 4.", reference="4")] * 2, client="c", seconds=0.2)

    for found in asyncio.run(work()):
        assert (found.outcome, found.reason, found.reward) == ("undetermined", reason, None)


def test_credit_is_the_change_of_the_least_score_so_far(verifier: AnswerVerifier) -> None:
    body = {"items": [{"question": "q", "steps": ["a", "b", "c"]}]}
    found = _post(verifier, "/credit", body, scorer=_Scores((0.9, 0.2, 0.8))).json()["credits"]
    assert found == [{"steps": [-0.1, -0.7, 0.0], "values": [0.9, 0.2, 0.2], "reason": None}]
    failed = _post(verifier, "/credit", body, scorer=_Scores(error="too long")).json()["credits"]
    assert failed == [{"steps": None, "values": [], "reason": "too long"}]
    gone = _post(verifier, "/credit", body, scorer=_Scores(dead=True))
    assert gone.status_code == 200 and gone.json()["credits"] == [{"steps": None, "reason": "the model is gone"}]
    assert _post(verifier, "/credit", body).status_code == 404


def test_a_verifier_of_ones_own_is_asked_in_a_process_that_can_be_killed() -> None:
    async def work() -> list[Verified]:
        own = OwnVerifier("own_functions:exact", item_seconds=2.0)
        items = [Item(response=text, reference="4") for text in ("4", "5", "unknown", "raise", "die", "slow", "4")]
        try:
            return await own.verify(items, client="c", seconds=60)
        finally:
            await own.close()

    found = asyncio.run(work())
    assert [one.outcome for one in found] == ["correct", "wrong", *["undetermined"] * 4, "correct"]
    assert [str(one.reason)[:12] for one in found[3:6]] == ["RuntimeError", "the verifier", "the verifier"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("own_functions:nothing", "cannot be imported"),
        ("nowhere:f", "cannot be imported"),
        ("own_functions:not_a_function", "not a function"),
    ],
)
def test_a_path_that_names_no_function_is_bad_input(path: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        OwnVerifier(path)


def test_a_verifier_that_returns_a_number_is_undetermined() -> None:
    (found,) = stepforge.verify([("4", "4")], verifier="own_functions:number")
    assert (found.outcome, found.reason) == ("undetermined", "it returned float")


def test_from_python_and_as_reward_functions() -> None:
    assert [one.outcome for one in stepforge.verify(PLAIN)] == OUTCOMES
    reward = stepforge.trl_reward("answer")
    told = [[{"role": "assistant", "content": "The answer is 4."}], [{"role": "assistant", "content": "2"}]]
    assert reward(prompts=["q", "q"], completions=told, answer=["4", "4"], completion_ids=[[1], [2]]) == [1.0, 0.0]
    assert reward(completions=["The answer is 9^{9^{9^{9}}}."], answer=["4"]) == [None]
    assert reward(completions=["The answer is none."], answer=[None]) == [None]
    assert stepforge.verl_reward("math", "The answer is 4.", "4", {"index": 1}) == {"score": 1.0, "undetermined": 0.0}
    assert stepforge.verl_reward("math", "9^{9^{9^{9}}}", "4") == {"score": 0.5, "undetermined": 1.0}
    listed = "It is 3 with 4 with 5"  # a policy must not learn to list candidates
    assert stepforge.verl_reward("math", listed, "4") == {"score": 0.0, "undetermined": 0.0}


def test_symbolic_comparisons_of_many_items_share_the_processes(verifier: AnswerVerifier) -> None:
    items = [Item(response=rf"The answer is \boxed{{\int_0^1 2x\,dx + {i % 3}}}.", reference="2") for i in range(9)]
    found = asyncio.run(verifier.verify(items, client="c", seconds=60))
    assert [one.outcome for one in found] == ["wrong", "correct", "wrong"] * 3


def test_the_command_asks_for_serve() -> None:
    assert "--serve" in refused("verify")
