"""What a server may answer: lost requests are sent again, everything else unexpected is an error."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from engine_setup import Loop, ask

from stepforge.pipelines.engines import ServerEngineSettings
from stepforge.pipelines.engines.server_engine import ServerEngine
from stepforge.schemas.errors import BadInput
from stepforge.schemas.seeds import seed_of

CHOICE = {"text": "t2 = 7", "finish_reason": "stop"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
FINE = {"choices": [CHOICE], "usage": USAGE}


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
    engine = opened(run, server, api_key_variable="STEPFORGE_TEST_KEY", address="https://server.test/v1")
    (completion,) = run(ask(engine, "Q\n"))
    assert server.headers[-1]["authorization"] == "Bearer sesame-4711"
    assert "sesame" not in repr(completion) + repr(engine.identity) + repr(vars(engine)["_settings"])


def test_a_model_that_the_server_does_not_have_is_named(run: Loop) -> None:
    with pytest.raises(BadInput, match="does not serve big; it has tiny"):
        opened(run, FakeServer(), model="big")
