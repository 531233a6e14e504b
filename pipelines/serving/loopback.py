"""A service on this machine: a token, ``/health`` without it, ``/metrics`` with it, on loopback only."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepforge.pipelines.serving.guard import HEALTH, Guard, Limits
from stepforge.schemas.errors import BadInput

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from stepforge.pipelines.serving.meter import Meter

HOST = "127.0.0.1"
TOKEN_VARIABLE = "STEPFORGE_TOKEN"  # noqa: S105 - the variable's name
METRICS = "/metrics"


def token_for_service() -> str:
    """Return the token of the environment variable, or a new one."""
    return os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)


def loopback_app(
    routes: Sequence["BaseRoute"],
    *,
    token: str,
    meter: "Meter",
    limits: Limits | None = None,
    health: Callable[[], Mapping[str, Any]] = dict,
) -> "ASGIApp":
    """Return an app with these routes, guarded.

    ``health``: what ``/health`` returns in addition to ``{"status": "ok"}``; nothing secret, since it needs no token.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def healthy(request: "Request") -> "JSONResponse":
        return JSONResponse({"status": "ok", **health()})

    async def metrics(request: "Request") -> "Response":
        return Response(meter.text(), media_type="text/plain; version=0.0.4")

    async def failed(request: "Request", error: Exception) -> "JSONResponse":
        status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "it failed")
        return JSONResponse({"error": detail}, status)

    own = [Route(HEALTH, healthy), Route(METRICS, metrics)]
    app = Starlette(routes=[*own, *routes], exception_handlers={HTTPException: failed, 500: failed})
    return Guard(app, token=token, limits=limits or Limits(), meter=meter)


def serve(app: "ASGIApp", *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; ``ready`` gets the address once connections are accepted."""
    import uvicorn

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
