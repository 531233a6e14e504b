"""What a server may answer: lost requests are sent again, everything else unexpected is an error."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from engine_setup import Loop, ask
from hostile_server import FINE, USAGE, Hostile, asked, opened

from stepforge.pipelines.engines import EMBEDDED
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.server_engine import NO_PROMPT_LOGPROBS
from stepforge.pipelines.engines.server_requests import BODY_BYTES, TOKEN_BYTES
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion
from stepforge.schemas.seeds import seed_of


def test_a_servers_answer_is_read_with_its_usage(run: Loop) -> None:
    server = Hostile()
    completions = run(ask(opened(run, server), "Q\n", n=3, seed=8, max_tokens=5, stop=("\n\n",)))
    assert {(c.text, c.finish, c.tokens, c.prompt_tokens, c.cached_tokens) for c in completions} == {
        ("t2 = 7", "stop", 4, 9, 3)
    }
    assert {request["seed"] for request in server.asked} == {seed_of(8, i) for i in range(3)}
    assert all(r["prompt"] == "Q\n" and r["n"] == 1 and r["stop"] == ["\n\n"] for r in server.asked)


@pytest.mark.parametrize("lost", [429, 500, 503, httpx.ConnectError("gone"), httpx.RemoteProtocolError("cut off")])
def test_what_the_infrastructure_lost_is_sent_again_with_the_same_seed(run: Loop, lost: Any) -> None:
    server = Hostile(lost, lost, FINE)
    completion = asked(run, server)
    assert completion.finish == "stop"
    assert len(server.asked) == 3
    assert server.asked[0] == server.asked[1] == server.asked[2]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refused_request_is_not_sent_again(run: Loop, status: int) -> None:
    server = Hostile(status)
    completion = asked(run, server)
    assert (completion.finish, len(server.asked)) == ("error", 1)
    assert "the server's own words" in (completion.error or "")


def test_a_slow_answer_is_an_error_and_not_asked_for_again(run: Loop) -> None:
    server = Hostile(5.0)
    completion = asked(run, server, request_timeout=0.05)
    assert (completion.finish, len(server.asked)) == ("error", 1)


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("abort", "error"), (None, "error")]
)
def test_ends_are_kept_apart(run: Loop, reason: str | None, finish: str) -> None:
    answer = {"choices": [{"text": "t2", "finish_reason": reason}], "usage": USAGE}
    assert asked(run, Hostile(answer)).finish == finish


def test_a_model_that_the_server_does_not_have_is_named(run: Loop) -> None:
    with pytest.raises(BadInput, match="does not serve big; it has tiny"):
        opened(run, Hostile(), model="big")


def test_an_error_that_calls_itself_an_answer_is_passed_on(run: Loop) -> None:
    completion = asked(run, Hostile({"error": {"message": "overloaded"}}))
    assert "it has no choices: overloaded" in (completion.error or "")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_named_and_not_followed(run: Loop, status: int) -> None:
    elsewhere = httpx.Response(status, headers={"location": "https://elsewhere.test/v1"})
    server = Hostile(elsewhere)
    completion = asked(run, server)
    assert "it redirects to https://elsewhere.test/v1, which is not followed" in (completion.error or "")
    assert (completion.cause, len(server.asked)) == ("server", 1)
    with pytest.raises(BadInput, match="redirects to https://elsewhere"):
        opened(run, Hostile(models=elsewhere))


@pytest.mark.parametrize("name", ["", "x" * 501, "a\x1b[2J", "a\nb", "\ud800"])
def test_a_model_without_a_name_that_can_be_kept_is_refused(run: Loop, name: str) -> None:
    with pytest.raises(BadInput, match="gives its model the name"):
        opened(run, Hostile(models=json.dumps({"data": [{"id": name}]}).encode()))


@pytest.mark.parametrize("values", ["[5.0, 700.0]", "[NaN, -1]", "[-1e308, -1e308]", '{"a": 1}'])
def test_what_is_no_log_probability_is_not_kept(run: Loop, values: str) -> None:
    choice = f'{{"text": "t2", "finish_reason": "stop", "logprobs": {{"token_logprobs": {values}}}}}'
    body = f'{{"choices": [{choice}], "usage": {json.dumps(USAGE)}}}'
    completion = asked(run, Hostile(body.encode()), logprobs=True)
    assert (completion.finish, completion.mean_logprob) == ("stop", None)


def test_tokens_that_come_with_log_probabilities_are_read(run: Loop) -> None:
    """llama.cpp's server has no other way to tell them, and tells none where 0 alternatives are asked for."""
    ids = load_tokenizer(str(embedded_folder())).encode("Answer: 56")
    told = [{"id": token, "logprob": -0.5} for token in ids]
    choice = {"text": "Answer: 56", "finish_reason": "length", "logprobs": {"content": told}}
    body = {"choices": [choice], "usage": USAGE}
    server = Hostile(body, models={"data": [{"id": "a", "owned_by": "llamacpp"}]})
    completion = asked(run, server, tokenizer=EMBEDDED)
    assert (completion.text, completion.token_ids, completion.mean_logprob) == ("Answer: 56", ids, -0.5)
    assert server.asked[0]["logprobs"] == 1
    nothing = {"choices": [{"text": "", "finish_reason": "stop", "logprobs": None}], "usage": USAGE}
    assert asked(run, Hostile(nothing, models=server.models), tokenizer=EMBEDDED).finish == "stop"


class Swapped(Hostile):
    """Cuts off its first caller, and a second one while the first is making sure of the model; then it has another."""

    def __init__(self) -> None:
        super().__init__()
        self.checking, self.lost, self.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models") and self.asked:
            reply = httpx.Response(200, json=self.models)
            self.checking.set()
            await self.cut.wait()
            return reply
        reply = await super().handle_async_request(request)
        if len(self.asked) == 3:
            self.lost.set()
        if len(self.asked) in (1, 3):
            raise httpx.ConnectError("gone")
        return reply


def test_a_doubt_that_arises_during_a_check_is_not_lost(run: Loop) -> None:
    server = Swapped()
    engine = opened(run, server, backoff=0.05, retries=1)

    async def both() -> list[str | None]:
        first = asyncio.create_task(ask(engine, "Q\n"))
        await server.checking.wait()
        second = asyncio.create_task(ask(engine, "R\n"))
        await server.lost.wait()
        server.models = {"data": [{"id": "another"}]}
        server.cut.set()
        return [(await answers)[0].error for answers in (first, second)]

    assert run(both()) == [None, "it serves another now; tiny is needed; sent 2 times"]


def test_how_likely_a_given_text_is_comes_from_vllm_alone(run: Loop) -> None:
    tokenizer = load_tokenizer(str(embedded_folder()))

    def told(logprob: object, lines: int = 1) -> tuple[Completion, tuple[int, ...], int]:
        ids = tokenizer.encode("t2 = 7\n" * lines + "Answer: 56")
        each = [None, *({str(token): {"logprob": logprob, "decoded_token": "x" * 40}} for token in ids[1:])]
        answer = {"text": "", "finish_reason": "stop", "token_ids": [], "prompt_logprobs": each}
        body = json.dumps({"choices": [answer], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})
        server = Hostile(body.encode(), models={"data": [{"id": "tiny", "owned_by": "vllm"}]})
        (completion,) = run(ask(opened(run, server, tokenizer=EMBEDDED), ids=ids, max_tokens=1, scored=3))
        assert (server.asked[0]["prompt"], server.asked[0]["prompt_logprobs"]) == (list(ids), 0)
        return completion, ids, len(body)

    completion, ids, size = told(-0.5, lines=4_000)
    assert size > BODY_BYTES + 2 * TOKEN_BYTES  # a long prompt's answer is long
    assert (completion.token_ids, completion.logprobs) == (ids[-3:], (-0.5,) * 3)
    for nonsense in (None, "likely", 700.0, float("nan"), -(10**400), [1]):
        assert told(nonsense)[0].error == NO_PROMPT_LOGPROBS
    (completion,) = run(ask(opened(run, Hostile()), "Q\n", max_tokens=1, scored=3))
    assert completion.error == NO_PROMPT_LOGPROBS
