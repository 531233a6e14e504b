"""A completions server on loopback that has no model: it solves the families' questions, and misbehaves as told."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from zlib import crc32

from stepforge.pipelines.engines.scripted_engine import _Likeliest, read_position, write

ERROR_RATE, RECOVERY_RATE = 0.15, 0.05
ASKED_IN_VAIN = 40
"""More than 16 requests that are each sent three times can come to before one of them is given up."""
Request = dict[str, Any]
Behavior = Callable[["Asked"], Any]
"""Returns a text, a whole answer as a dictionary, or a status."""


class Asked:
    """One request for a completion, and what an honest server would say."""

    def __init__(self, request: Request, number: int, memory: dict[Any, Any]) -> None:
        self.request = request
        self.number = number
        self.memory = memory
        """Shared by the requests to one server."""
        self.prompt: str = request["prompt"] if "prompt" in request else _rendered(request["messages"])
        self.seed: int = request["seed"]
        self.question, _, self.prefix = self.prompt.partition("\n")

    def honest(self, *, prompt: str | None = None, seed: int | None = None, greedy: bool = False) -> str:
        """Return the rest of the solution, or what it would be for another prompt or seed."""
        text = self.prompt if prompt is None else prompt
        drawn = self.seed if seed is None else seed
        rng = Random(drawn ^ crc32(text.encode()))
        if greedy or self.request["temperature"] == 0:
            rng = _Likeliest()
        return write(read_position(text), rng, ERROR_RATE, RECOVERY_RATE)

    def bare(self) -> str:
        """Return the prompt without what a solution has begun."""
        return f"{self.question}\n"


def _rendered(messages: list[dict[str, str]]) -> str:
    """A chat template: the question, a line break, and what the assistant has begun."""
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    return f"{messages[0]['content']}\n{begun}"


class LoopbackServer:
    """Listens on a port of its own until it is closed; may be down for a while."""

    def __init__(self, behavior: Behavior | None = None, owner: str = "loopback", name: str = "scripted") -> None:
        self.owner, self.name = owner, name
        self.behavior = behavior or (lambda asked: asked.honest())
        self.asked = 0
        self.sessions: set[str] = set()
        self.memory: dict[Any, Any] = {}
        self.down_at: int | None = None
        """The request before which it goes down."""
        self.down_seconds = 0.0
        """At least; it also stays away until it was asked often enough in vain, however slow the machine is."""
        self.in_vain = 0
        self.mode = "refuses"
        self._lock = threading.Lock()
        self._up = threading.Event()
        self._up.set()
        self._listen(0)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def down(self) -> bool:
        """Whether it is away just now."""
        return not self._up.is_set()

    def close(self) -> None:
        """Stop listening."""
        self._up.wait(30)
        self._stop()

    def next_number(self) -> int:
        """Count a request, and go down if its time has come."""
        with self._lock:
            self.asked += 1
            if self.asked == self.down_at:
                self._up.clear()
                threading.Thread(target=self._be_away, daemon=True).start()
            return self.asked

    def _be_away(self) -> None:
        if self.mode == "refuses":
            self._stop()
        time.sleep(self.down_seconds)
        while self.mode != "refuses" and self.in_vain < ASKED_IN_VAIN:
            time.sleep(0.02)
        if self.mode == "refuses":
            self._listen(self.port)
        self._up.set()

    def _listen(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(owner: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:
            return

        def do_GET(self) -> None:
            if not self._turned_away():
                self._send(200, {"data": [{"id": owner.name, "max_model_len": 4096, "owned_by": owner.owner}]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            number = owner.next_number()
            owner.sessions.add(self.headers.get("X-Session-ID", ""))
            if self._turned_away():
                return
            said = owner.behavior(Asked(request, number, owner.memory))
            if not self._turned_away():
                self._send(said, {"error": "as told"}) if isinstance(said, int) else self._send(
                    200, _answer(said, request)
                )

        def _turned_away(self) -> bool:
            if not owner.down:
                return False
            owner.in_vain += 1
            if owner.mode == "answers 503":
                self._send(503, {"error": "loading"})
            self.close_connection = True
            return True

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

    return Handler


def _answer(said: Any, request: Request) -> dict[str, Any]:
    if isinstance(said, dict):
        return said
    most = request["max_tokens"]
    text, finish = (said, "stop") if len(said) < most else (said[:most], "length")
    if "messages" not in request:
        usage = {"prompt_tokens": len(request["prompt"]), "completion_tokens": len(text) + 1}
        return {"choices": [{"text": text, "finish_reason": finish}], "usage": usage}
    usage = {"prompt_tokens": len(_rendered(request["messages"])), "completion_tokens": len(text) + 1}
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}
