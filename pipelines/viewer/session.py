"""A browser's way past the guard: a token in the address becomes a cookie, and pages load only their own files."""

from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class BrowserSession:
    """ASGI middleware in front of the guard, which only knows a token in a header or in the address.

    A page of another port on this machine would send the cookie along, so whatever writes must come from our own page.
    """

    def __init__(self, app: "ASGIApp", *, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Turn a token into a cookie, or a cookie into a token."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        name = f"stepforge_{host.rpartition(':')[2]}"  # cookies do not know ports
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if scope["method"] == "GET" and given is not None and self._right(given):
            left = urlencode([(key, value) for key, value in query if key != "token"])
            await self._redirect(send, quote(scope["path"]) + (f"?{left}" if left else ""), name)
            return
        if self._right(_cookie(headers, name)) and _own_page(scope["method"], headers, host):
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {self._token}".encode())]}

        async def sending(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, sending)

    def _right(self, given: str) -> bool:
        return compare_digest(given.encode(), self._token.encode())

    async def _redirect(self, send: "Send", target: str, name: str) -> None:
        cookie = f"{name}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [
            (b"location", b"/" + target.lstrip("/").encode("latin-1")),  # "//host" would lead elsewhere
            (b"set-cookie", cookie.encode()),
            (b"cache-control", b"no-store"),
            *HEADERS,
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _cookie(headers: dict[bytes, bytes], name: str) -> str:
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _own_page(method: str, headers: dict[bytes, bytes], host: str) -> bool:
    return method in ("GET", "HEAD") or headers.get(b"origin", b"").decode("latin-1") == f"http://{host}"
