"""Servers that answer what nobody asked for: several choices, errors as answers, redirections, names that are none."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from engine_setup import Loop
from hostile_server import USAGE, Hostile, asked, opened

from stepforge.pipelines.engines import EMBEDDED
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.schemas.errors import BadInput


@pytest.fixture(scope="module")
def run() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_an_error_that_calls_itself_an_answer_is_passed_on(run: Loop) -> None:
    completion = asked(run, Hostile(lambda request: httpx.Response(200, json={"error": {"message": "overloaded"}})))
    assert "it has no choices: overloaded" in (completion.error or "")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_named_and_not_followed(run: Loop, status: int) -> None:
    def elsewhere(*_: Any) -> httpx.Response:
        return httpx.Response(status, headers={"location": "https://elsewhere.test/v1"})

    server = Hostile(elsewhere)
    completion = asked(run, server)
    assert "it redirects to https://elsewhere.test/v1, which is not followed" in (completion.error or "")
    assert (completion.cause, len(server.asked)) == ("server", 1)
    with pytest.raises(BadInput, match="redirects to https://elsewhere"):
        opened(run, Hostile(elsewhere, elsewhere))


@pytest.mark.parametrize("name", ["", "x" * 501, "a\x1b[2J", "a\nb", "\ud800"])
def test_a_model_without_a_name_that_can_be_kept_is_refused(run: Loop, name: str) -> None:
    with pytest.raises(BadInput, match="gives its model the name"):
        body = json.dumps({"data": [{"id": name}]})
        opened(run, Hostile(lambda request: httpx.Response(500), lambda: httpx.Response(200, content=body)))


@pytest.mark.parametrize("values", ["[5.0, 700.0]", "[NaN, -1]", "[-1e308, -1e308]", '{"a": 1}'])
def test_what_is_no_log_probability_is_not_kept(run: Loop, values: str) -> None:
    choice = f'{{"text": "t2", "finish_reason": "stop", "logprobs": {{"token_logprobs": {values}}}}}'
    body = f'{{"choices": [{choice}], "usage": {json.dumps(USAGE)}}}'
    completion = asked(run, Hostile(lambda request: httpx.Response(200, content=body)), logprobs=True)
    assert (completion.finish, completion.mean_logprob) == ("stop", None)


def test_tokens_that_come_with_log_probabilities_are_read(run: Loop) -> None:
    """llama.cpp's server has no other way to tell them, and tells none where 0 alternatives are asked for."""
    ids = load_tokenizer(str(embedded_folder())).encode("Answer: 56")
    told = [{"id": token, "logprob": -0.5} for token in ids]
    choice = {"text": "Answer: 56", "finish_reason": "length", "logprobs": {"content": told}}
    body = {"choices": [choice], "usage": USAGE}
    server = Hostile(lambda request: httpx.Response(200, json=body), {"data": [{"id": "a", "owned_by": "llamacpp"}]})
    completion = asked(run, server, tokenizer=EMBEDDED)
    assert (completion.text, completion.token_ids, completion.mean_logprob) == ("Answer: 56", ids, -0.5)
    assert server.asked[0]["logprobs"] == 1
    nothing = {"choices": [{"text": "", "finish_reason": "stop", "logprobs": None}], "usage": USAGE}
    ended = Hostile(lambda request: httpx.Response(200, json=nothing), server.models)
    assert asked(run, ended, tokenizer=EMBEDDED).finish == "stop"
