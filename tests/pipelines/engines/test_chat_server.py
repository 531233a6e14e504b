"""Chats: how a server is made to continue from the beginning of a solution, and what it cannot do."""

import json
from typing import Any

import httpx
import pytest
from engine_setup import Loop
from hostile_server import USAGE, Hostile, opened

from stepforge.pipelines.engines.server_engine import ServerEngine
from stepforge.schemas.protocols import Message, Prompt, Sampling


def chatting(run: Loop, answer: Any, owner: str = "vllm", **settings: Any) -> tuple[ServerEngine, Hostile]:
    server = Hostile(answer, models={"data": [{"id": "tiny", "owned_by": owner}]})
    return opened(run, server, retries=0, api="chat", **settings), server


TURNS = (Message(role="user", content="Q"),)
BEGUN = (*TURNS, Message(role="assistant", content="Step 1\n"))


def chat_answer(request: httpx.Request) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Step 2"}
    tokens = sum(len(turn["content"]) for turn in json.loads(request.content)["messages"])
    usage = {"prompt_tokens": tokens, "completion_tokens": 4}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@pytest.mark.parametrize(
    ("owner", "goes_on", "flagged"),
    [
        ("vllm", "auto", True),
        ("sglang", "auto", True),
        ("llamacpp", "auto", False),
        ("somebody", "continue_final_message", True),
        ("somebody", "assistant_message", False),
    ],
)
def test_a_chat_goes_on_from_an_assistants_message(run: Loop, owner: str, goes_on: str, flagged: bool) -> None:
    engine, server = chatting(run, chat_answer, owner, goes_on=goes_on)
    assert engine.cannot is None
    prompt = Prompt(text="QStep 1\n", turns=BEGUN, session="abc")
    completion = run(engine.complete(prompt, seed=1, sampling=Sampling(max_tokens=8)))
    assert (completion.text, completion.tokens) == ("Step 2", 4)
    request = server.asked[-1]
    assert request["messages"] == [turn.model_dump() for turn in BEGUN]
    assert ("continue_final_message" in request) == flagged
    assert request.get("add_generation_prompt", True) is not flagged


@pytest.mark.parametrize("second", ["Step 1\nStep 2", "Step 2"])
def test_a_beginning_that_comes_back_is_taken_off(run: Loop, second: str) -> None:
    """llama.cpp's server answers with the whole message, of which only the rest is new."""

    def whole(request: httpx.Request) -> dict[str, Any]:
        begun = json.loads(request.content)["messages"][-1]["content"]
        content = f"{begun} and" if begun.startswith("So") else second
        answer = {"message": {"content": content}, "finish_reason": "stop"}
        return {"choices": [answer], "usage": {**USAGE, "prompt_tokens": len(begun)}}

    engine, _ = chatting(run, whole, "llamacpp")
    completion = run(engine.complete(Prompt(text="", turns=BEGUN), seed=1, sampling=Sampling()))
    expected = ("Step 2", "stop") if second.startswith("Step 1") else ("", "error")
    assert (completion.text, completion.finish) == expected


def test_a_chat_server_of_no_known_kind_solves_and_judges_and_says_what_it_cannot(run: Loop) -> None:
    engine, server = chatting(run, chat_answer, "somebody")
    assert "not known to continue from the beginning of a solution" in (engine.cannot or "")
    assert "engine.goes_on" in (engine.cannot or "")
    whole = run(engine.complete(Prompt(text="Q", turns=TURNS), seed=1, sampling=Sampling()))
    assert whole.text == "Step 2"
    begun = run(engine.complete(Prompt(text="Q", turns=BEGUN), seed=1, sampling=Sampling()))
    assert (begun.finish, len(server.asked)) == ("error", 1)


def test_a_template_that_trims_or_a_server_that_refuses_is_not_gone_on_with(run: Loop) -> None:
    answer = {"message": {"content": "Step 2"}, "finish_reason": "stop"}
    said = chatting(run, {"choices": [answer], "usage": USAGE})[0].cannot
    assert "without its trailing blanks" in (said or "")
    refuses = httpx.Response(400, json={"error": {"message": "no prefix, please"}})
    said = chatting(run, refuses)[0].cannot
    assert "does not continue from the beginning of a solution (the server answered 400: no prefix, please)" in (
        said or ""
    )
