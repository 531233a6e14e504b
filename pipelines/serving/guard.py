"""Checks on every request: its host, its token, its size, and how many there are.

A page in a browser on the same machine can reach a loopback port, so a ``Host`` that is not loopback is refused (DNS
rebinding) and everything but ``/health`` needs the token. Nothing a request says is ever printed.
"""

import json
import time
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pydantic import Field

from stepforge.schemas.record import Record

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from stepforge.pipelines.serving.meter import Meter

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEALTH = "/health"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # the token may be in the address
    (b"cache-control", b"no-store"),
)


class Limits(Record):
    """Limits per request, and how many are answered at a time."""

    body_bytes: int = Field(default=8 << 20, ge=1)
    """Largest request body; a larger one is answered with 413."""
    requests: int = Field(default=256, ge=1)
    """Requests answered at a time; one more gets 503 and a retry hint."""


class Guard:
    """ASGI middleware; refuses with a JSON object that holds ``error``."""

    def __init__(self, app: "ASGIApp", *, token: str, limits: Limits, meter: "Meter") -> None:
        self._app = app
        self._token = token.encode()
        self._limits = limits
        self._meter = meter
        self._under_way = 0

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            self._meter.count("refused", refusal[0], 0.0)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        self._under_way += 1
        try:
            await self._app(scope, self._counted(receive), sending)
        finally:
            self._under_way -= 1
            self._meter.count(_route(scope), status, time.perf_counter() - began)

    def _refusal(self, scope: "Scope") -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if host.rpartition(":")[0] not in LOOPBACK and host not in LOOPBACK:
            return 421, "this service answers on loopback only"
        if scope["path"] != HEALTH and not self._knows_token(headers, scope["query_string"]):
            return 401, "the token is missing or wrong: send 'Authorization: Bearer TOKEN' or ?token=TOKEN"
        if self._under_way >= self._limits.requests:
            return 503, f"{self._limits.requests} requests are in progress; try again"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limits.body_bytes:
            return 413, self._too_large
        return None

    def _knows_token(self, headers: dict[bytes, bytes], query: bytes) -> bool:
        sent = headers.get(b"authorization", b"")
        asked = parse_qs(query.decode("latin-1")).get("token", [""])[0].encode()
        return compare_digest(sent, b"Bearer " + self._token) or compare_digest(asked, self._token)

    @property
    def _too_large(self) -> str:
        return f"the body is larger than {self._limits.body_bytes} bytes"

    def _counted(self, receive: "Receive") -> "Receive":
        """Count the bytes of a body without a stated length."""
        from starlette.exceptions import HTTPException

        read = 0

        async def counting() -> "Message":
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limits.body_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return counting


def _route(scope: "Scope") -> str:
    """Return the route's pattern, never the path: paths would make one series per problem."""
    return str(getattr(scope.get("route"), "path", "unknown"))


async def _refuse(send: "Send", status: int, error: str) -> None:
    headers = [(b"content-type", b"application/json"), *HEADERS]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})
