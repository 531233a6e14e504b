"""What a hostile server sends: bodies without end, drips, deep JSON, other tokens, and the key itself."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from engine_setup import Loop
from hostile_server import CHOICE, USAGE, Hostile, Stream, asked, opened

from stepforge.pipelines.engines import EMBEDDED
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.tokenization import ModelTokenizer, load_tokenizer
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import Completion, Prompt, Sampling

KEY = "sesame-4711-open"
MIB = 1 << 20


def streamed(chunks: Callable[[], AsyncIterator[bytes]], **headers: str) -> Hostile:
    return Hostile(lambda request: httpx.Response(200, headers=headers, stream=Stream(chunks)))


async def without_end() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * (64 << 10)


async def drip() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.01)
        yield b" "


def answered(**choice: Any) -> Hostile:
    return Hostile({"choices": [CHOICE | choice], "usage": USAGE})


@pytest.mark.parametrize(
    ("chunks", "packing", "said"),
    [
        (without_end, "identity", "longer than 1,081,344 bytes"),
        (without_end, "gzip", "packs its answer as 'gzip'"),
    ],
)
def test_a_body_is_read_up_to_its_cap(run: Loop, chunks: Any, packing: str, said: str, tell: Any) -> None:
    server = streamed(chunks, **{"content-encoding": packing})
    tracemalloc.start()
    completion = asked(run, server)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert completion.finish == "error"
    assert said in (completion.error or "")
    assert peak < 8 * MIB
    tell(f"hostile body, {chunks.__name__} as {packing}: {peak / MIB:.1f} MiB at most; {completion.error}")


def test_a_packed_page_of_a_proxy_is_an_outage(run: Loop) -> None:
    server = Hostile(lambda request: httpx.Response(503, stream=Stream(drip), headers={"content-encoding": "gzip"}))
    completion = asked(run, server)
    assert (completion.error, completion.cause) == ("the server answered 503; sent 3 times", "away")


def test_an_answer_that_drips_ends_at_its_time_limit(run: Loop) -> None:
    completion = asked(run, streamed(drip), request_timeout=0.2)
    assert completion.error == "no answer within 0.2 s"


def test_a_list_of_models_that_drips_or_has_no_end_is_refused(run: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepforge.pipelines.engines.server_requests.CONNECT_SECONDS", 0.2)
    for chunks, said in ((drip, "no answer within 0.2 s"), (without_end, "longer than")):
        with pytest.raises(BadInput, match=said):
            opened(run, Hostile(models=httpx.Response(200, stream=Stream(chunks))))


@pytest.mark.parametrize("wait", ["²", "-1", "1e9", "inf", "NaN", "9" * 5000, "Fri, 31 Dec 1999 23:59:59 GMT", "٣"])
def test_no_retry_after_escapes(run: Loop, wait: str) -> None:
    server = Hostile(lambda request: httpx.Response(503, headers={"retry-after": wait.encode()}))
    completion = asked(run, server)
    assert (completion.finish, completion.cause, len(server.asked)) == ("error", "away", 3)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"choices":' * 100_000,
        b'{"error":' + b"[" * 200_000,
        b'{"choices": [{"text": "a", "finish_reason": {"a": 1}}]}',
        b'{"choices": [{"text": "a", "finish_reason": "stop"}], "usage": {"completion_tokens": ' + b"9" * 5000 + b"}}",
        b'{"choices": [{"text": "a", "finish_reason": "stop", "logprobs": {"content": [1]}}]}',
        b'{"choices": [{"message": {"content": null, "reasoning_content": "I think"}, "finish_reason": "length"}]}',
        b'{"choices": [{"message": {"content": "", "tool_calls": [{}]}, "finish_reason": "stop"}]}',
        b'{"usage": {"completion_tokens": 4}, "choices": [{"finish_reason": "stop", "message": '
        b'{"content": "", "reasoning_content": "I think"}}]}',
        b'{"usage": {"completion_tokens": 4}, "choices": [{"finish_reason": "stop", "message": '
        b'{"content": "", "refusal": "I cannot help with that."}}]}',
        b'{"choices": [{"text": "a", "finish_reason": "stop"}, {"text": "b"}], "usage": {"completion_tokens": 1}}',
        b'{"choices": [{"text": "a", "finish_reason": "stop", "index": 1}], "usage": {"completion_tokens": 1}}',
        b'{"choices": {"0": {"text": "a"}}}',
        b'{"choices": [{"text": "a", "finish_reason": "stop"}], "error": {"code": 502}, '
        b'"usage": {"completion_tokens": 1}}',
        b'{"choices": [{"text": "a", "finish_reason": "stop", "error": {"message": "worker died"}}], '
        b'"usage": {"completion_tokens": 1}}',
        b"<html><title>Log in</title></html>",
        b'data: {"choices": [{"text": "a"}]}',
        b"\xff\xfe",
        b"",
        b"{}",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{"text": null}]}',
        b'{"choices": [{"text": 7, "finish_reason": "stop"}]}',
        b'{"choices": [{"text": "a", "finish_reason": "stop"}], "usage": {"completion_tokens": "many"}}',
        b'{"choices": [{"text": "a", "finish_reason": "stop"}], "usage": [1]}',
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
@pytest.mark.parametrize("status", [200, 400])
def test_no_body_escapes(run: Loop, body: bytes, status: int) -> None:
    completion = asked(run, Hostile(httpx.Response(status, content=body)))
    assert completion.finish == "error"
    assert len(completion.error or "") < 300
    assert "\n" not in (completion.error or "")


@pytest.mark.parametrize(
    "sent",
    [
        {"text": "t2 = \ud800 7"},
        {"usage": {"completion_tokens": 9 * 10**18, "prompt_tokens": 4}},
        {"usage": {"completion_tokens": 4, "prompt_tokens": -1}},
        {"usage": {"completion_tokens": -4}},
        {"usage": {"completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2**40}}},
    ],
    ids=str,
)
def test_what_cannot_be_true_stops_before_the_journal(run: Loop, sent: dict[str, Any]) -> None:
    body = {"choices": [CHOICE | {"text": sent.get("text", "t2")}], "usage": sent.get("usage", USAGE)}
    engine = opened(run, Hostile(json.dumps(body).encode()))
    answer = run(EngineGate(engine, 4).ask(Prompt(text="Q\n"), seed=1, sampling=Sampling(max_tokens=8)))
    completion = answer.completion
    assert (completion.finish, completion.cause, completion.tokens) == ("error", "server", 0)


@pytest.mark.parametrize(("tokens", "finish"), [(15, "stop"), (16, "length"), (40, "stop")])
def test_a_text_of_all_its_tokens_was_cut_whatever_the_server_says(run: Loop, tokens: int, finish: str) -> None:
    answer = {"choices": [CHOICE], "usage": USAGE | {"completion_tokens": tokens}}
    assert asked(run, Hostile(answer)).finish == finish


def test_a_server_that_does_not_stop_is_stopped(run: Loop) -> None:
    engine = opened(run, Hostile(answered(text="t2 = 7\n\nQ: and", finish_reason="length").answers[0]))
    sampling = Sampling(max_tokens=16, stop=("Z", "\n\nQ:"))
    completion = run(engine.complete(Prompt(text="Q"), seed=1, sampling=sampling))
    assert (completion.text, completion.finish) == ("t2 = 7", "stop")


@pytest.fixture(scope="module")
def tokenizer() -> ModelTokenizer:
    return load_tokenizer(str(embedded_folder()))


def with_ids(run: Loop, text: str, ids: list[Any], **choice: Any) -> Completion:
    return asked(run, answered(text=text, token_ids=ids, **choice), tokenizer=EMBEDDED)


def test_another_model_that_answers_in_between_is_no_answer(run: Loop) -> None:
    answers = [{"choices": [CHOICE], "usage": USAGE, "model": name} for name in ("a", "b", "a")]
    engine = opened(run, Hostile(*answers))
    prompt, sampling = Prompt(text="Q"), Sampling(max_tokens=16)
    got = [run(engine.complete(prompt, seed=seed, sampling=sampling)) for seed in range(3)]
    assert [c.finish for c in got] == ["stop", "error", "stop"]
    assert (got[1].error, got[1].cause) == ("b answered; a did before", "away")


def test_a_prompt_that_the_server_cuts_is_no_prompt(run: Loop, tokenizer: ModelTokenizer) -> None:
    ids = [*tokenizer.encode("Answer: 56"), *tokenizer.end_tokens]
    answer = {"choices": [CHOICE | {"text": "Answer: 56", "token_ids": ids}], "usage": USAGE | {"prompt_tokens": 1}}
    answer["usage"] |= {"prompt_tokens_details": None}
    completion = asked(run, Hostile(answer), tokenizer=EMBEDDED)
    assert (completion.finish, completion.cause) == ("error", "request")
    assert "the server read 1 of the prompt's" in (completion.error or "")


def test_tokens_of_another_text_are_an_error(run: Loop, tokenizer: ModelTokenizer) -> None:
    (end,) = tokenizer.end_tokens
    ids = list(tokenizer.encode("Answer: 56"))
    for kept in ([*ids, end], ids):  # with the end-of-text token, and without
        completion = with_ids(run, "Answer: 56", kept)
        assert (completion.text, completion.finish, completion.token_ids) == ("Answer: 56", "stop", tuple(ids))
    others = {
        "of another number": [*tokenizer.encode("Answer: 57"), end],
        "cut short": ids[:-1],
        "out of vocabulary": [*ids[:-1], 10**6],
        "negative": [*ids, -1],
        "none": [],
        "no numbers": ["5", "6"],
        "truth values": [True, False],
    }
    for kind, wrong in others.items():
        completion = with_ids(run, "Answer: 56", wrong)
        assert completion.finish == "error", kind
        assert completion.cause == "server", kind


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("place", ["message", "page", "text", "escaped", "at the cut", "reason"])
def test_the_key_comes_back_in_nothing(run: Loop, monkeypatch: pytest.MonkeyPatch, place: str, status: int) -> None:
    monkeypatch.setenv("STEPFORGE_TEST_KEY", KEY)
    bodies: dict[str, bytes] = {
        "message": json.dumps({"error": {"message": f"Authorization: Bearer {KEY}"}}).encode(),
        "page": f"<html>{KEY}</html>".encode(),
        "text": json.dumps({"choices": [{"text": KEY, "finish_reason": "stop"}], "usage": USAGE}).encode(),
        "escaped": b'{"error": {"message": "' + "".join(f"\\u{ord(c):04x}" for c in KEY).encode() + b'"}}',
        "at the cut": json.dumps({"error": {"message": "x" * 190 + KEY}}).encode(),
        "reason": json.dumps({"choices": [{"text": "a", "finish_reason": KEY}], "usage": USAGE}).encode(),
    }
    server = Hostile(lambda request: httpx.Response(status, content=bodies[place]))
    completion = asked(run, server, api_key_variable="STEPFORGE_TEST_KEY")
    assert completion.finish == "error"
    assert "sesame" not in repr(completion)


def test_a_model_named_by_the_key_is_refused(run: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPFORGE_TEST_KEY", KEY)
    for models in ({"data": [{"id": KEY}]}, {"data": [{"id": KEY}, {"id": "b"}]}, {"error": f"no, {KEY}"}):
        with pytest.raises(BadInput) as refused:
            opened(run, Hostile(models=models), api_key_variable="STEPFORGE_TEST_KEY")
        assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("https://server.test/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://server.test/v1", False),
        ("http://127.0.0.1.server.test/v1", False),
        ("http://10.0.0.7:8000/v1", False),
    ],
)
def test_the_key_is_sent_encrypted_or_nowhere(
    run: Loop, monkeypatch: pytest.MonkeyPatch, address: str, sent: bool
) -> None:
    monkeypatch.setenv("STEPFORGE_TEST_KEY", KEY)
    server = answered()
    if sent:
        assert asked(run, server, api_key_variable="STEPFORGE_TEST_KEY", address=address).finish == "stop"
        assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
        return
    with pytest.raises(BadInput, match="is not encrypted"):
        asked(run, server, api_key_variable="STEPFORGE_TEST_KEY", address=address)
    assert server.asked == []


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel", "a\x7fb"])
def test_what_is_no_key_is_refused_unseen(run: Loop, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("STEPFORGE_TEST_KEY", key)
    with pytest.raises(BadInput) as refused:
        opened(run, answered(), api_key_variable="STEPFORGE_TEST_KEY")
    assert key not in str(refused.value)
