"""Servers that lie, and servers that go away: what a run says, and that no label is wrong because of them."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos import KEPT, report_of, run
from loopback_server import Asked, LoopbackServer

from stepforge.labelers.verdict_text import VERDICT
from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.labeled import LabeledProblem

RUN = """
seed = 5
problems = {problems}
solutions = 4
rows_per_shard = {rows}
test_share = 0.3
max_failure_share = {failures}

[engine]
kind = "server"
address = "{address}"
connections = 16
retries = 2
backoff = {backoff}
patience = {patience}

[policy]
answer = "stated"
max_tokens = 600
temperature = {temperature}

[workers]
engine = 1
cpu = 1
gpus_per_engine = 0
shards_in_flight = 2

[[generate]]
kind = "sequence"

[[label]]
kind = "omega_prm"
k = 4
search_limit = 6

[[export]]
kind = "stepwise"
"""
DEFAULTS: dict[str, Any] = {
    "problems": 32,
    "rows": 8,
    "failures": 0.01,
    "backoff": 0.0125,
    "patience": 90,
    "temperature": 1.0,
}


def write_run(folder: Path, address: str, **settings: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.toml"
    path.write_text(RUN.format(**DEFAULTS | settings, address=address))
    return path


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
    return asked.honest() + ("\ud800" if asked.number % 5 == 0 else "")


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
        after_a_while(cached),
        1,
        "pairs of solutions with a wrong one among them are ident",
    ),
    "two samples for all seeds": (lambda a: a.honest(seed=a.seed % 2), 2, "are 2 texts"),
    "ignores the prefix": (lambda a: a.honest(prompt=a.bare()), 2, "begins anew"),
    "repeats the prefix": (lambda a: a.prefix + a.honest(), 2, "repeats"),
    "repeats the whole prompt": (lambda a: a.prompt + a.honest(), 2, "begins anew"),
    "forgets the question after a prefix": (forgets_the_question, 1, "after one right step 0 of"),
    "cannot solve anything": (another_answer, 1, "the policy solves 0 of"),
    "answers in a form that is not read": (in_words, 1, "end without an answer"),
    "refuses every request": (lambda a: 400, 2, "the test completion failed: the server answered 400"),
}
BORNE: dict[str, Callable[[Asked], Any]] = {
    "honest": lambda a: a.honest(),
    "lone surrogates in one of five": surrogate,
    "9e18 tokens in one of five": counts({"completion_tokens": 9 * 10**18, "prompt_tokens": 3}),
    "negative tokens in one of five": counts({"completion_tokens": 5, "prompt_tokens": -3}),
}


@pytest.fixture
def server() -> Any:
    opened: list[LoopbackServer] = []

    def serve(behaviour: Any = None, owner: str = "loopback") -> LoopbackServer:
        opened.append(LoopbackServer(behaviour, owner))
        return opened[-1]

    yield serve
    for one in opened:
        one.close()


@pytest.mark.parametrize("lie", STOPPED)
def test_a_server_that_lies_is_found_out(lie: str, tmp_path: Path, server: Any, tell: Callable[[str], None]) -> None:
    behaviour, code, said = STOPPED[lie]
    output = run(write_run(tmp_path, server(behaviour).address), tmp_path / "out", expect=code)
    last = output.strip().splitlines()[-1]
    assert said in last
    assert not list((tmp_path / "out").glob("datasets/stepwise/*"))
    tell(f"server {lie}: exit {code}: {last.removeprefix('stepforge: ')[:150]}")


@pytest.mark.parametrize("fault", BORNE)
def test_what_cannot_be_true_is_no_label(fault: str, tmp_path: Path, server: Any, tell: Callable[[str], None]) -> None:
    """Each answer that cannot be true costs its own completion, and nothing else; the run comes to its end."""
    run(write_run(tmp_path, server(BORNE[fault]).address), tmp_path / "out")
    wrong = undetermined = right = 0
    for path in sorted((tmp_path / "out" / "labeled").glob("*.parquet")):
        for row in read_shard(path, LabeledProblem):
            for rollout in (*(s.rollout for s in row.solutions), *row.evidence):
                wrong += rollout.outcome == "wrong"
                right += rollout.outcome == "correct"
                undetermined += rollout.outcome == "undetermined"
                assert rollout.outcome == "undetermined" or rollout.finish == "stop"
    assert right > 0
    assert (undetermined > 0) == (fault != "honest")
    tell(f"server {fault}: exit 0: {right} right, {wrong} wrong, {undetermined} without a verdict")
    assert report_of(tmp_path / "out")["watched"]["warning"] is None


SCALE = 40
"""An outage of 60 s, with back-off and patience, in a fortieth of the time."""
OUTAGES, QUICK = 20, 6


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every shard, rejection, failure and data file."""
    paths = [path for name in KEPT for path in sorted((folder / name).rglob("*.parquet"))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("undisturbed")
    server = LoopbackServer()
    run(write_run(folder, server.address, problems=12, rows=6), folder / "out")
    server.close()
    return contents(folder / "out"), server.asked


@pytest.mark.parametrize(
    "number", [*range(QUICK), *(pytest.param(number, marks=pytest.mark.slow) for number in range(QUICK, OUTAGES))]
)
def test_an_outage_costs_time_and_nothing_else(
    number: int, undisturbed: Any, tmp_path: Path, server: Any, tell: Callable[[str], None]
) -> None:
    """At a random moment the server is away for (scaled) 60 s: the run waits, says why, and ends in the same bytes."""
    expected, requests = undisturbed
    rng = Random(number)
    away = server()
    away.mode = ("refuses", "answers 503", "hangs up")[number % 3]
    away.down_at, away.down_seconds = rng.randint(30, requests - 30), 60 / SCALE
    said = run(write_run(tmp_path, away.address, problems=12, rows=6), tmp_path / "out")
    assert contents(tmp_path / "out") == expected
    assert "is away (" in said
    assert "is back after" in said
    tell(f"outage {number} ({away.mode}, at request {away.down_at} of about {requests}): none lost, none wrong")


def test_a_server_that_stays_away_ends_the_run_with_the_reason_and_another_address_resumes_it(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    expected, requests = undisturbed
    away = server()
    away.down_at, away.down_seconds = requests // 2, 6.0
    out = tmp_path / "out"
    said = run(write_run(tmp_path, away.address, problems=12, rows=6, patience=1), out, expect=1)
    assert "has been away for" in said
    assert "run the same command to resume" in said
    run(write_run(tmp_path, server().address, problems=12, rows=6, backoff=0.5, patience=60), out)
    assert contents(out) == expected


def test_rows_that_a_server_failed_over_are_tried_again_by_the_same_command(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    """One problem gets 500 for all its requests: its row fails with the server's words, and is there the next time."""
    expected, _ = undisturbed
    out, hit = tmp_path / "out", dict[str, str]()

    def fails(asked: Asked) -> Any:
        """The first question is what the engine is tried with; the second one is hit."""
        tried = hit.setdefault("tried", asked.question)
        if asked.question == tried or hit.setdefault("question", asked.question) != asked.question:
            return asked.honest()
        return 500

    one = server(fails)
    run_file = write_run(tmp_path, one.address, problems=12, rows=6)
    said = run(run_file, out, expect=1)
    assert "1 of 12 rows could not be finished" in said
    assert "most often (1): EngineFailed: the server answered 500; sent 3 times" in said
    assert "mend the cause and run the same command to try them again" in said
    assert "max_failure_share = 0.01" in said
    hit["question"] = "mended"
    said = run(run_file, out)
    assert "1 rows failed for a reason outside of them; they are tried again" in said
    assert contents(out) == expected
    assert len(one.sessions - {""}) >= 12


def as_chat(run_file: Path, label: str = "") -> Path:
    """Have a run ask by conversations, and label by something else."""
    text = run_file.read_text().replace('kind = "server"', 'kind = "server"\napi = "chat"')
    text = text.replace("[policy]", '[policy]\nchat = true\nprompt = "{question}"')
    if label:
        text = text.replace('kind = "omega_prm"\nk = 4\nsearch_limit = 6', label)
    run_file.write_text(text)
    return run_file


def rollouts_of(folder: Path) -> list[tuple[str, str, str]]:
    """Return problem, text and outcome of every rollout."""
    rows = [row for path in sorted((folder / "labeled").glob("*.parquet")) for row in read_shard(path, LabeledProblem)]
    return sorted(
        (row.problem.question, rollout.text, rollout.outcome)
        for row in rows
        for rollout in (*(s.rollout for s in row.solutions), *row.evidence)
    )


def test_a_chat_server_that_goes_on_is_labelled_with_as_one_for_completions(
    undisturbed: Any, tmp_path: Path, server: Any
) -> None:
    """The same model under both kinds of requests: the same rollouts, whichever way prefixes are sent."""
    plain = write_run(tmp_path / "plain", server().address, problems=12, rows=6)
    run(plain, tmp_path / "plain" / "out")
    chat = as_chat(write_run(tmp_path / "chat", server(owner="vllm").address, problems=12, rows=6))
    run(chat, tmp_path / "chat" / "out")
    assert rollouts_of(tmp_path / "chat" / "out") == rollouts_of(tmp_path / "plain" / "out")


def test_a_chat_server_that_does_not_go_on_can_sample_and_judge(tmp_path: Path, server: Any) -> None:
    def judges(asked: Asked) -> str:
        return f"I see no mistake.\n{VERDICT} none" if VERDICT in asked.prompt else asked.honest()

    hosted = server(judges, owner="somebody")
    run_file = as_chat(write_run(tmp_path, hosted.address, problems=12, rows=6))
    said = run(run_file, tmp_path / "refused", expect=2)
    assert "is not known to go on from the beginning of a solution" in said
    assert "omega_prm would need that: label by judge" in said
    judged = as_chat(write_run(tmp_path, hosted.address, problems=12, rows=6), 'kind = "judge"\nvotes = 1')
    run(judged, tmp_path / "out")
    found = [row for path in (tmp_path / "out" / "labeled").glob("*") for row in read_shard(path, LabeledProblem)]
    verdicts = [solution.verdict for row in found for solution in row.solutions]
    assert len(verdicts) == 48
    assert all(verdict.finds_no_error for verdict in verdicts)


def test_temperature_0_is_refused_where_completions_are_counted(tmp_path: Path, server: Any) -> None:
    said = run(write_run(tmp_path, server().address, temperature=0.0), tmp_path / "out", expect=2)
    assert "policy.temperature: 0 gives one completion again and again, and omega_prm counts how many are right" in said


def test_a_run_of_a_policy_that_cannot_solve_goes_on_if_told_to_and_the_card_says_so(
    tmp_path: Path, server: Any
) -> None:
    run_file = write_run(tmp_path, server(another_answer).address)
    run(run_file, tmp_path / "out", expect=1)
    run_file.write_text(run_file.read_text() + "\n[watch]\nleast_pass_rate = 0\n")
    run(run_file, tmp_path / "out")
    card = (tmp_path / "out" / "datasets" / "README.md").read_text()
    assert "**Warning.** The run was gone on with although the policy solves 0 of 128." in card
