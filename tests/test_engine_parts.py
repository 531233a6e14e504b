"""Parts of engines alone: what a server may answer, the thread that steps vLLM, tokenization, settings."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from engine_setup import Loop, ask
from pydantic import TypeAdapter, ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipelines.engines import AnyEngine, ServerEngineSettings, TransformersEngineSettings
from pipelines.engines.model_files import digest, locate
from pipelines.engines.server_engine import ServerEngine
from pipelines.engines.stepping import Call, Stepper
from pipelines.engines.tokenization import ModelTokenizer
from schemas.errors import BadInput
from schemas.protocols import EngineDead
from schemas.seeds import seed_of

Answer = Callable[[httpx.Request], httpx.Response]
CHOICE = {"text": "t2 = 7", "finish_reason": "stop"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
FINE = {"choices": [CHOICE], "usage": USAGE}


@pytest.fixture(scope="module")
def run() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


class FakeServer(httpx.AsyncBaseTransport):
    """Gives the prepared answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or [FINE]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[httpx.Headers] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [{"id": "tiny", "max_model_len": 64}]})
        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return httpx.Response(200, json=FINE)
        if isinstance(answer, int):
            return httpx.Response(answer, json={"error": {"message": "the server's\nown words"}})
        return httpx.Response(200, content=answer) if isinstance(answer, bytes) else httpx.Response(200, json=answer)


def opened(run: Loop, server: FakeServer, **settings: Any) -> ServerEngine:
    settings = {"backoff": 0.001, "retries": 2, "address": "http://server.test/v1", **settings}
    return run(ServerEngine.open(ServerEngineSettings(**settings), transport=server))


def test_a_servers_answer_is_read_with_its_usage(run: Loop) -> None:
    server = FakeServer()
    completions = run(ask(opened(run, server), "Q\n", n=3, seed=8, max_tokens=5, stop=("\n\n",)))
    assert {(c.text, c.finish, c.tokens, c.prompt_tokens, c.cached_tokens) for c in completions} == {
        ("t2 = 7", "stop", 4, 9, 3)
    }
    assert {request["seed"] for request in server.asked} == {seed_of(8, i) for i in range(3)}
    assert all(r["prompt"] == "Q\n" and r["n"] == 1 and r["stop"] == ["\n\n"] for r in server.asked)


@pytest.mark.parametrize("lost", [429, 500, 503, httpx.ConnectError("gone"), httpx.RemoteProtocolError("cut off")])
def test_what_the_infrastructure_lost_is_sent_again_with_the_same_seed(run: Loop, lost: Any) -> None:
    server = FakeServer(lost, lost, FINE)
    (completion,) = run(ask(opened(run, server), "Q\n"))
    assert completion.finish == "stop"
    assert len(server.asked) == 3
    assert server.asked[0] == server.asked[1] == server.asked[2]


def test_a_server_that_stays_away_gives_an_error(run: Loop) -> None:
    server = FakeServer(503)
    (completion,) = run(ask(opened(run, server), "Q\n"))
    assert (completion.finish, len(server.asked)) == ("error", 3)
    assert "503" in (completion.error or "")


@pytest.mark.parametrize("status", [400, 401, 404, 422, 302])
def test_a_refused_request_is_not_sent_again(run: Loop, status: int) -> None:
    server = FakeServer(status)
    (completion,) = run(ask(opened(run, server), "Q\n"))
    assert (completion.finish, len(server.asked)) == ("error", 1)
    assert "the server's own words" in (completion.error or "")


def test_a_slow_answer_is_an_error_and_not_asked_for_again(run: Loop) -> None:
    server = FakeServer(5.0)
    (completion,) = run(ask(opened(run, server, request_timeout=0.05), "Q\n"))
    assert (completion.finish, len(server.asked)) == ("error", 1)


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>",
        b"\xff\xfe",
        {},
        [],
        {"choices": []},
        {"choices": [{"text": None}]},
        {"choices": [{"text": 7, "finish_reason": "stop"}]},
        {"choices": [CHOICE], "usage": {"completion_tokens": "many"}},
        {"choices": [CHOICE], "usage": [1]},
    ],
    ids=str,
)
def test_garbage_is_an_error(run: Loop, garbage: Any) -> None:
    (completion,) = run(ask(opened(run, FakeServer(garbage)), "Q\n"))
    assert (completion.finish, completion.text) == ("error", "")
    assert "\n" not in (completion.error or "")


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("abort", "error"), (None, "error")]
)
def test_ends_are_kept_apart(run: Loop, reason: str | None, finish: str) -> None:
    answer = {"choices": [{"text": "t2", "finish_reason": reason}], "usage": USAGE}
    assert run(ask(opened(run, FakeServer(answer)), "Q\n"))[0].finish == finish


def test_the_key_is_sent_and_said_nowhere(run: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPFORGE_TEST_KEY", "sesame-4711")
    server = FakeServer(400)
    engine = opened(run, server, api_key_variable="STEPFORGE_TEST_KEY")
    (completion,) = run(ask(engine, "Q\n"))
    assert server.headers[-1]["authorization"] == "Bearer sesame-4711"
    assert "sesame" not in repr(completion) + repr(engine.identity) + repr(vars(engine)["_settings"])


def test_a_model_that_the_server_does_not_have_is_named(run: Loop) -> None:
    with pytest.raises(BadInput, match="does not serve big; it has tiny"):
        opened(run, FakeServer(), model="big")


class FakeVllm:
    """Finishes a request in the step after it was added, unless told otherwise."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.aborted: list[str] = []
        self.idle = False
        self.breaks = False
        self.closed = False
        self.engine_core = SimpleNamespace(shutdown=self.shutdown)

    def shutdown(self) -> None:
        self.closed = True

    def add_request(self, name: str, prompt: dict[str, Any], parameters: Any) -> None:
        if parameters == "bad":
            raise ValueError("bad parameters\nsecond line")
        self.open.append(name)

    def abort_request(self, names: list[str]) -> None:
        self.aborted += names
        self.open = [name for name in self.open if name not in names]

    def step(self) -> list[Any]:
        if self.breaks:
            raise RuntimeError("out of memory")
        if self.idle:
            return []
        done, self.open = self.open, []
        return [SimpleNamespace(request_id=name, finished=True) for name in done]


async def stepper_with(vllm: FakeVllm) -> Stepper:
    stepper = Stepper(lambda: vllm, lambda error: isinstance(error, ValueError))
    await stepper.start()
    return stepper


def call(parameters: list[Any], deadline: float = float("inf")) -> Call:
    return Call(asyncio.get_running_loop().create_future(), [1, 2], parameters, deadline)


def test_calls_end_and_a_refused_request_harms_no_other(run: Loop) -> None:
    async def work() -> None:
        vllm = FakeVllm()
        stepper = await stepper_with(vllm)
        calls = [call(["fine", "bad", "fine"]), call(["bad"]), call([])]
        for one in calls:
            stepper.submit(one)
        first, second, third = await asyncio.gather(*(one.future for one in calls))
        assert [isinstance(answer, str) for answer in first] == [False, True, False]
        assert second == ["the engine refuses the request: bad parameters"]
        assert third == []
        await stepper.close()
        assert vllm.closed
        with pytest.raises(EngineDead):
            stepper.submit(call(["fine"]))

    run(work())


def test_a_failing_step_kills_the_engine_for_everyone(run: Loop) -> None:
    async def work() -> None:
        vllm = FakeVllm()
        vllm.idle = True
        stepper = await stepper_with(vllm)
        calls = [call(["fine"]), call(["fine", "fine"])]
        for one in calls:
            stepper.submit(one)
        await asyncio.sleep(0.05)
        vllm.breaks = True
        for one in calls:
            with pytest.raises(EngineDead, match="out of memory"):
                await one.future
        with pytest.raises(EngineDead, match="out of memory"):
            stepper.submit(call(["fine"]))
        await stepper.close()

    run(work())


def test_late_and_cancelled_calls_leave_nothing_behind(run: Loop) -> None:
    async def work() -> None:
        vllm = FakeVllm()
        vllm.idle = True
        stepper = await stepper_with(vllm)
        late, cancelled = call(["fine", "fine"], deadline=0.0), call(["fine"])
        stepper.submit(late)
        stepper.submit(cancelled)
        answers = await late.future
        assert all("request_timeout" in answer for answer in answers)
        stepper.cancel(cancelled)
        for _ in range(500):
            await asyncio.sleep(0.01 if stepper.unfinished else 0)
        assert len(vllm.aborted) == 3
        vllm.idle = False
        again = call(["fine"])
        stepper.submit(again)
        assert len(await again.future) == 1
        await stepper.close()

    run(work())


def test_closing_fails_those_who_wait(run: Loop) -> None:
    async def work() -> None:
        vllm = FakeVllm()
        vllm.idle = True
        stepper = await stepper_with(vllm)
        waiting = call(["fine"])
        stepper.submit(waiting)
        await stepper.close()
        with pytest.raises(EngineDead, match="closed"):
            await waiting.future

    run(work())


def byte_tokenizer() -> ModelTokenizer:
    """One byte a token, so that characters are cut everywhere; bytes 256 and 257 are joint tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(alphabet)} | {"ab": 256, "bc": 257}
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b"), ("b", "c")]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    fast.decoder = decoders.ByteLevel()
    return ModelTokenizer(SimpleNamespace(backend_tokenizer=fast, chat_template=None, eos_token_id=None))


def test_token_ends_are_those_of_decoded_beginnings() -> None:
    tokenizer = byte_tokenizer()
    for text in ("", "abcabc", "é½🙂x🙂", "�a�", "\n \t"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        for count, end in enumerate(tokenizer.token_ends(ids), start=1):
            whole = tokenizer.decode(ids[:count])
            assert text.startswith(whole) is (end == len(whole)) or whole.endswith("�")
    assert tokenizer.token_ends(tokenizer.encode("é")) == (0, 1)


def test_ends_of_broken_characters_reach_the_end_of_the_text() -> None:
    tokenizer = byte_tokenizer()
    for text in ("é", "🙂a🙂"):
        for start in range(3):
            for stop in range(1, 5):
                ids = tokenizer.encode(text)[start:-stop]
                ends = tokenizer.token_ends(ids)
                assert list(ends) == sorted(ends)
                assert ends[-1:] == ((len(tokenizer.decode(ids)),) if ids else ())


def test_a_stop_text_inside_a_token_leaves_the_characters_before_it() -> None:
    tokenizer = byte_tokenizer()
    written = tokenizer.read([*tokenizer.encode("x"), 256, *tokenizer.encode("z")], stop=("bz",))
    assert written.text == "xa"
    assert tokenizer.decode(written.token_ids) == "xa"
    assert written.token_ends == (1, 2)


def test_importing_the_settings_loads_no_model_library() -> None:
    code = (
        "import sys, pipelines.engines as e; e.VllmEngineSettings();"
        "print([m for m in ('torch', 'vllm', 'transformers', 'httpx', 'tokenizers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_are_told_apart_by_kind_and_misspelt_ones_refused() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyEngine)
    for kind in ("vllm", "server", "transformers", "scripted"):
        assert adapter.validate_python({"kind": kind}).kind == kind
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "scripted", "error_rat": 0.1})
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "server", "address": "http://me:secret@host/v1"})


def test_the_digest_changes_with_weights_and_tokenizer_alone(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("1")
    before = digest(locate(str(tmp_path)), None)
    (tmp_path / "config.json").write_text("2")
    assert digest(str(tmp_path), None) == before
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("2")
        after = digest(str(tmp_path), None)
        assert after != before
        before = after
    assert digest("org/name", "abc123") == "abc123"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"config\.json"):
        locate(str(tmp_path))
    assert TransformersEngineSettings().model == "embedded"
