"""A guarded app over real HTTP messages: who gets in, how much is read, what is counted."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stepforge.pipelines.serving.loopback import Limits, Meter, loopback_app, serve
from stepforge.schemas.errors import BadInput

TOKEN = "a-token"  # noqa: S105
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HERE = "http://127.0.0.1:8000"


async def _length(request: Request) -> JSONResponse:
    return JSONResponse({"length": len(await request.body())})


def _app(limits: Limits | None = None, **more: Any) -> Any:
    routes = [Route("/length/{name}", _length, methods=["POST"])]
    return loopback_app(routes, token=TOKEN, meter=Meter("test"), limits=limits, **more)


def _ask(app: Any, method: str, url: str, **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE) as client:
            return await client.request(method, url, **more)

    return asyncio.run(ask())


def test_health_needs_no_token_and_all_else_does() -> None:
    app = _app(health=lambda: {"waiting": 3})
    assert _ask(app, "GET", "/health").json() == {"status": "ok", "waiting": 3}
    assert _ask(app, "GET", "/metrics").status_code == 401
    assert _ask(app, "POST", "/length/x", content=b"1234").status_code == 401
    assert _ask(app, "POST", "/length/x?token=wrong", content=b"1234").status_code == 401
    assert _ask(app, "POST", "/length/x", content=b"1234", headers={"Authorization": TOKEN}).status_code == 401
    assert _ask(app, "POST", f"/length/x?token={TOKEN}", content=b"1234").json() == {"length": 4}
    answer = _ask(app, "POST", "/length/x", content=b"1234", headers=BEARER)
    assert answer.json() == {"length": 4}
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_host_that_is_not_loopback_is_refused(host: str) -> None:
    assert _ask(_app(), "GET", "/health", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8000", "[::1]"])
def test_loopback_by_any_name_is_served(host: str) -> None:
    assert _ask(_app(), "GET", "/health", headers={"Host": host}).status_code == 200


def test_a_large_body_is_refused_whether_its_length_is_told_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"12345"

    app = _app(Limits(body_bytes=10))
    assert _ask(app, "POST", "/length/x", headers=BEARER, content=b"1" * 10).json() == {"length": 10}
    assert _ask(app, "POST", "/length/x", headers=BEARER, content=b"1" * 11).status_code == 413
    assert _ask(app, "POST", "/length/x", headers=BEARER, content=pieces()).status_code == 413


def test_more_requests_than_the_limit_are_told_to_come_again() -> None:
    async def slow(request: Request) -> JSONResponse:
        await asyncio.sleep(0.2)
        return JSONResponse({})

    app = loopback_app([Route("/slow", slow)], token=TOKEN, meter=Meter("test"), limits=Limits(requests=2))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE, headers=BEARER) as client:
            return await asyncio.gather(*(client.get("/slow") for _ in range(3)))

    answers = asyncio.run(ask())
    assert sorted(a.status_code for a in answers) == [200, 200, 503]
    assert next(a for a in answers if a.status_code == 503).headers["retry-after"] == "1"


def test_requests_are_counted_by_route_and_not_by_path() -> None:
    app = _app()
    for name in ("a", "b"):
        _ask(app, "POST", f"/length/{name}", headers=BEARER)
    _ask(app, "GET", "/metrics")
    text = _ask(app, "GET", "/metrics", headers=BEARER).text
    assert 'stepforge_requests_total{route="/length/{name}",service="test",status="200"} 2.0' in text
    assert 'stepforge_requests_total{route="refused",service="test",status="401"} 1.0' in text


def test_a_service_answers_on_the_port_it_names_and_a_taken_port_is_bad_input() -> None:
    found: list[str] = []
    ready = threading.Event()

    def tell(address: str) -> None:
        found.append(address)
        ready.set()

    threading.Thread(target=serve, args=(_app(),), kwargs={"ready": tell}, daemon=True).start()
    assert ready.wait(30)
    assert httpx.get(f"{found[0]}/health", timeout=30).json() == {"status": "ok"}
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadInput, match="port"):
        serve(_app(), port=taken.getsockname()[1], ready=tell)
