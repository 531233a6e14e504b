"""A service on this machine: on loopback only, with a token, limits, ``/health`` and ``/metrics``.

A page in a browser on the same machine can reach a loopback port, so a ``Host`` that is not loopback is refused (DNS
rebinding) and everything but ``/health`` needs the token. Nothing a request says is ever printed.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import Field
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

HOST = "127.0.0.1"
LOOPBACK = frozenset({HOST, "localhost", "[::1]"})
TOKEN_VARIABLE = "STEPFORGE_TOKEN"  # noqa: S105 - the variable's name
HEALTH, METRICS = "/health", "/metrics"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the token may be in the address
    "cache-control": "no-store",
}
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Limits(Record):
    """Limits per request, and how many are answered at a time."""

    body_bytes: int = Field(default=8 << 20, ge=1)
    """Largest request body; a larger one is answered with 413."""
    requests: int = Field(default=256, ge=1)
    """Requests answered at a time; one more gets 503 and a retry hint."""


class Meter:
    """Counts and times in Prometheus' text format; a separate registry, so two services in one process do not mix."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        """For metrics of the service's own."""
        labels = ("service", "route")
        self._requests = Counter(
            "stepforge_requests_total", "Answered requests.", (*labels, "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "stepforge_request_seconds", "Time to answer.", labels, registry=self.registry, buckets=SECONDS
        )
        self._service = service
        up = Gauge("stepforge_up", "1 while the service runs.", ("service",), registry=self.registry)
        up.labels(service).set(1)

    def count(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(self._service, route, str(status)).inc()
        self._seconds.labels(self._service, route).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Guard:
    """ASGI middleware; refuses with a JSON object that holds ``error``."""

    def __init__(self, app: ASGIApp, *, token: str, limits: Limits, meter: Meter) -> None:
        self._app, self._token, self._limits, self._meter = app, token.encode(), limits, meter
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if refusal := self._refusal(scope):
            status, error = refusal
            headers = HEADERS | ({"retry-after": "1"} if status == 503 else {})
            await JSONResponse({"error": error}, status, headers)(scope, receive, send)
            self._meter.count("refused", status, 0.0)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        self._under_way += 1
        try:
            await self._app(scope, self._counted(receive), sending)
        finally:
            self._under_way -= 1
            route = getattr(scope.get("route"), "path", "unknown")  # not the path: that is one series per problem
            self._meter.count(route, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
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

    def _counted(self, receive: Receive) -> Receive:
        """Count the bytes of a body without a stated length."""
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limits.body_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return counting


def token_for_service() -> str:
    """Return the token of the environment variable, or a new one."""
    return os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)


def loopback_app(
    routes: Sequence[BaseRoute],
    *,
    token: str,
    meter: Meter,
    limits: Limits | None = None,
    health: Callable[[], Mapping[str, Any]] = dict,
) -> ASGIApp:
    """Return an app with these routes, guarded.

    ``health``: what ``/health`` returns in addition to ``{"status": "ok"}``; nothing secret, since it needs no token.
    """

    async def healthy(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", **health()})

    async def metrics(request: Request) -> Response:
        return Response(meter.text(), media_type="text/plain; version=0.0.4")

    async def failed(request: Request, error: Exception) -> JSONResponse:
        status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "it failed")
        return JSONResponse({"error": detail}, status)

    own = [Route(HEALTH, healthy), Route(METRICS, metrics)]
    app = Starlette(routes=[*own, *routes], exception_handlers={HTTPException: failed, 500: failed})
    return _Guard(app, token=token, limits=limits or Limits(), meter=meter)


def serve(app: ASGIApp, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; ``ready`` gets the address once connections are accepted."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise BadInput(f"port {port}: {error.strerror}; give another, or 0 for any that is free") from None
        listening.listen(1024)
        ready(f"http://{HOST}:{listening.getsockname()[1]}")
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listening])
