"""Lets a browser past the guard: a token in the address becomes a cookie, and pages load only their own files."""

from hmac import compare_digest
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWN = ("script-src", "style-src", "font-src", "img-src", "connect-src", "form-action")
"""Everything loaded or sent belongs to the viewer."""
HEADERS = {
    "content-security-policy": "; ".join(
        ("default-src 'none'", *(f"{what} 'self'" for what in OWN), "base-uri 'none'", "frame-ancestors 'none'")
    ),
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class BrowserSession:
    """ASGI middleware in front of the guard, which only knows a token in a header or in the address.

    A page of another port on this machine would send the cookie along, so writing requests must come from our own page.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        host = request.headers.get("host", "")
        name = f"stepforge_{host.rpartition(':')[2]}"  # cookies do not know ports
        if request.method == "GET" and self._right(request.query_params.get("token", "")):
            await self._redirect(request, name)(scope, receive, send)
            return
        own_page = request.method in ("GET", "HEAD") or request.headers.get("origin") == f"http://{host}"
        if own_page and self._right(request.cookies.get(name, "")):
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {self._token}".encode())]}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, sending)

    def _right(self, given: str) -> bool:
        return compare_digest(given.encode(), self._token.encode())

    def _redirect(self, request: Request, name: str) -> RedirectResponse:
        target = "/" + quote(request.scope["path"]).lstrip("/")  # "//host" would lead elsewhere
        left = urlencode([(key, value) for key, value in request.query_params.multi_items() if key != "token"])
        answer = RedirectResponse(f"{target}?{left}" if left else target, 303, {**HEADERS, "cache-control": "no-store"})
        answer.set_cookie(name, self._token, httponly=True, samesite="strict")
        return answer
