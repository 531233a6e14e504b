"""Servers that lie, and servers that chat: what a run says, and that no label is wrong because of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos import run
from chaos_runs import report_of
from loopback_server import Asked
from server_runs import FEW, MANY, labeled_rows, write_run

from stepforge.labelers.verdict_text import VERDICT


def after_a_while(lie: Callable[[Asked], Any], honest: int = 60) -> Callable[[Asked], Any]:
    """Be honest to whoever only tries."""
    return lambda asked: asked.honest() if asked.number <= honest else lie(asked)


def empty(asked: Asked) -> str:
    return "" if asked.prefix else asked.honest()


def cut_short(asked: Asked) -> str:
    text = asked.honest()
    return text[: len(text) // 2]


def cached(asked: Asked) -> str:
    return str(asked.memory.setdefault(asked.prompt, asked.honest()))


def forgets_the_question(asked: Asked) -> str:
    return asked.honest(prompt="\n" + asked.prefix) if asked.prefix else asked.honest()


def another_answer(asked: Asked) -> str:
    """The work of a model that errs in every line."""
    head, _, answer = asked.honest().rpartition("Answer: ")
    return f"{head}Answer: {int(answer) + 7919}"


def in_words(asked: Asked) -> str:
    return asked.honest().replace("Answer: ", "So we get ")


def surrogate(asked: Asked) -> str:
    """The probe compares with the likeliest solution."""
    likeliest = asked.request["temperature"] == 0 and not asked.prefix
    return asked.honest() + ("\ud800" if likeliest or asked.number % 5 == 0 else "")


def counts(usage: dict[str, Any]) -> Callable[[Asked], Any]:
    def lie(asked: Asked) -> Any:
        if asked.number % 5:
            return asked.honest()
        return {"choices": [{"text": asked.honest(), "finish_reason": "stop"}], "usage": usage}

    return lie


STOPPED: dict[str, tuple[Callable[[Asked], Any], int, str]] = {
    "ends at once after a prefix": (empty, 2, "ends at once and calls it finished"),
    "ends at once, after a while": (after_a_while(empty), 1, "end without an answer"),
    "cuts short, and says stop": (cut_short, 1, "end without an answer"),
    "cuts short after a while": (after_a_while(cut_short), 1, "end without an answer"),
    "one sample for all seeds": (lambda a: a.honest(seed=1), 2, "different seeds are one text"),
    "temperature 0 whatever is asked": (lambda a: a.honest(greedy=True), 2, "different seeds are one text"),
    "caches by prompt": (cached, 2, "different seeds are one text"),
    "caches by prompt after a while": (
        after_a_while(cached, honest=20),
        1,
        "pairs of solutions with a wrong one among them are ident",
    ),
    "two samples for all seeds": (lambda a: a.honest(seed=a.seed % 2), 2, "are 2 texts"),
    "ignores the prefix": (lambda a: a.honest(prompt=a.bare()), 2, "continue from half of a solution, it"),
    "repeats the prefix": (lambda a: a.prefix + a.honest(), 2, "repeats"),
    "repeats the whole prompt": (lambda a: a.prompt + a.honest(), 2, "begins again"),
    "forgets the question after a prefix": (forgets_the_question, 1, "after one right step 0 of"),
    "cannot solve anything": (another_answer, 1, "the policy solves 0 of"),
    "answers in a form that is not read": (in_words, 1, "end without an answer"),
    "refuses every request": (lambda a: 400, 2, "the test completion failed: the server answered 400"),
}
BORNE: dict[str, Callable[[Asked], Any]] = {
    "honest": lambda a: a.honest(),
    "lone surrogates in the likeliest solution and in one of five": surrogate,
    # After the check before the run, which may take a count of 3 for a beginning that was left out, and refuse.
    "9e18 tokens in one of five": after_a_while(counts({"completion_tokens": 9 * 10**18, "prompt_tokens": 3})),
    "negative tokens in one of five": after_a_while(counts({"completion_tokens": 5, "prompt_tokens": -3})),
}


@pytest.mark.parametrize("lie", STOPPED)
def test_a_server_that_lies_is_found_out(lie: str, tmp_path: Path, server: Any, tell: Callable[[str], None]) -> None:
    behavior, code, said = STOPPED[lie]
    output = run(write_run(tmp_path, server(behavior).address), tmp_path / "out", expect=code)
    last = output.strip().splitlines()[-1]
    assert said in last
    assert not list((tmp_path / "out").glob("datasets/stepwise/*"))
    tell(f"server {lie}: exit {code}: {last.removeprefix('stepforge: ')[:150]}")


@pytest.mark.parametrize("fault", BORNE)
def test_what_cannot_be_true_is_no_label(fault: str, tmp_path: Path, server: Any, tell: Callable[[str], None]) -> None:
    """Each answer that cannot be true costs its own completion, and a problem only if all its solutions are such."""
    size = MANY | {"max_failure_share": 0.1}
    run(write_run(tmp_path, server(BORNE[fault]).address, size=size), tmp_path / "out")
    wrong = undetermined = right = 0
    for row in labeled_rows(tmp_path / "out"):
        for rollout in (*(s.rollout for s in row.solutions), *row.evidence):
            wrong += rollout.outcome == "wrong"
            right += rollout.outcome == "correct"
            undetermined += rollout.outcome == "undetermined"
            assert rollout.outcome == "undetermined" or rollout.finish == "stop"
    assert right > 0
    assert (undetermined > 0) == (fault != "honest")
    tell(f"server {fault}: exit 0: {right} right, {wrong} wrong, {undetermined} without a verdict")
    assert report_of(tmp_path / "out")["watched"]["warning"] is None


def rollouts_of(folder: Path) -> list[tuple[str, str, str]]:
    """Return problem, text and outcome of every rollout."""
    return sorted(
        (row.problem.question, rollout.text, rollout.outcome)
        for row in labeled_rows(folder)
        for rollout in (*(s.rollout for s in row.solutions), *row.evidence)
    )


def test_a_chat_server_that_goes_on_is_labeled_with_as_one_for_completions(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    """The same model under both kinds of requests: the same rollouts, whichever way prefixes are sent."""
    plain = write_run(tmp_path / "plain", server().address, size=FEW)
    run(plain, tmp_path / "plain" / "out")
    chat = write_run(tmp_path / "chat", server(owner="vllm").address, size=FEW, api="chat")
    run(chat, tmp_path / "chat" / "out")
    assert rollouts_of(tmp_path / "chat" / "out") == rollouts_of(tmp_path / "plain" / "out")


def test_a_chat_server_that_does_not_go_on_can_sample_and_judge(tmp_path: Path, server: Any) -> None:
    def judges(asked: Asked) -> str:
        return f"I see no mistake.\n{VERDICT} none" if VERDICT in asked.prompt else asked.honest()

    hosted = server(judges, owner="somebody")
    said = run(write_run(tmp_path, hosted.address, size=FEW, api="chat"), tmp_path / "refused", expect=2)
    assert "is not known to continue from the beginning of a solution" in said
    assert "omega_prm need that: use the judge labeler" in said
    judge = {"kind": "judge", "votes": 1}
    run(write_run(tmp_path, hosted.address, size=FEW, label=judge, api="chat"), tmp_path / "out")
    verdicts = [solution.verdict for row in labeled_rows(tmp_path / "out") for solution in row.solutions]
    assert len(verdicts) == 48
    assert all(verdict.finds_no_error for verdict in verdicts)


def test_temperature_0_is_refused_where_completions_are_counted(tmp_path: Path, server: Any) -> None:
    said = run(write_run(tmp_path, server().address, policy={"temperature": 0.0}), tmp_path / "out", expect=2)
    assert "policy.temperature: 0 always gives the same completion, and omega_prm counts how many are right" in said


def test_a_run_of_a_policy_that_cannot_solve_goes_on_if_told_to_and_the_card_says_so(
    tmp_path: Path, server: Any
) -> None:
    address = server(another_answer).address
    run(write_run(tmp_path, address), tmp_path / "out", expect=1)
    run(write_run(tmp_path, address, watch={"least_pass_rate": 0}), tmp_path / "out")
    card = (tmp_path / "out" / "datasets" / "README.md").read_text()
    assert "**Warning.** The run was continued although the policy solves 0 of 128." in card
