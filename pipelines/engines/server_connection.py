"""The connection to a server: where the key may go, how much of an answer is read, and for how long."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

import httpx

from stepforge.pipelines.engines.settings import ServerEngineSettings
from stepforge.schemas.errors import BadInput, first_line

CONNECT_SECONDS = 10.0
LONGEST_WAIT = 30.0
"""Longest ``Retry-After`` to honor, in seconds."""
REDACTED = "[API key]"
SAFE_KEY = re.compile(r"[!-~]+")


class Reply(NamedTuple):
    status: int
    body: bytes
    wait: float
    """How long it asks clients to wait, in seconds."""


class NotAnswered(Exception):
    """No complete answer came, for a reason outside the request."""


class TooSlow(NotAnswered):
    """The answer did not end in time."""


class NotSent(Exception):
    """The request cannot be sent, or its answer may not be read."""


class ServerConnection:
    """Sends requests to one server; the key is removed from all text the server returns."""

    def __init__(self, settings: ServerEngineSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """``transport`` replaces the network in tests. Raises BadInput: the key is not set, is not valid, or would be
        sent unencrypted."""
        self._key = api_key(settings)
        address = _url(settings.address)
        headers = {"Accept-Encoding": "identity"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        connections = settings.connections
        self._client = httpx.AsyncClient(
            base_url=address,
            headers=headers,
            transport=transport,
            timeout=httpx.Timeout(settings.request_timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not is_loopback(address.host),  # a proxy in the environment must not get loopback requests
        )

    async def get(self, path: str, *, seconds: float, most: int) -> Reply:
        return await self._reply(self._client.build_request("GET", path), seconds, most)

    async def post(
        self, path: str, body: Mapping[str, object], *, seconds: float, most: int, headers: dict[str, str]
    ) -> Reply:
        """Return the answer to a request, of at most ``most`` bytes and within ``seconds`` in all.

        Raises:
            NotAnswered: the connection failed, or the answer was late (``TooSlow``).
            NotSent: the request cannot be sent, or the answer is too long or packed.
        """
        try:
            request = self._client.build_request("POST", path, json=body, headers=headers)
        except (ValueError, RecursionError) as error:
            raise NotSent(f"the request cannot be sent: {self.redacted(first_line(error))}") from None
        return await self._reply(request, seconds, most)

    async def _reply(self, request: httpx.Request, seconds: float, most: int) -> Reply:
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(request, stream=True)
                try:
                    body = _redirected(response) if response.has_redirect_location else await _read(response, most)
                    return Reply(response.status_code, body, asked_wait(response.headers))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.ReadTimeout):
            raise TooSlow(f"no answer within {seconds:g} s") from None
        except httpx.TransportError as error:
            raise NotAnswered(f"{type(error).__name__}: {self.redacted(first_line(error))}") from None
        except (ValueError, RuntimeError, httpx.HTTPError) as error:
            raise NotSent(f"the request cannot be sent: {self.redacted(first_line(error))}") from None

    def redacted(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, REDACTED)

    def holds_key(self, text: str) -> bool:
        """Return whether a text to be stored contains the key (if too long to occur by chance)."""
        return self._key is not None and len(self._key) >= 8 and self._key in text

    async def close(self) -> None:
        await self._client.aclose()


def _redirected(response: httpx.Response) -> bytes:
    """Return an error for a redirect: the key and the prompts go nowhere else."""
    elsewhere = response.headers["location"]
    words = f"it redirects to {elsewhere[:100]}, which is not followed; set engine.address to where the server is"
    return json.dumps({"error": {"message": words}}).encode()


async def _read(response: httpx.Response, most: int) -> bytes:
    """Read a body piece by piece. A packed one, which nobody asked for, is refused: a few KiB can hold gigabytes."""
    packed = response.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity"):
        if response.status_code >= 400:
            return b""  # a proxy's page: the status says enough
        raise NotSent(f"the server packs its answer as {packed[:20]!r}, though asked not to")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise NotSent(f"the server's answer is longer than {most:,} bytes; the rest was not read")
    return bytes(body)


def asked_wait(headers: httpx.Headers) -> float:
    """Return the seconds of a ``Retry-After`` header; 0 for a date, or anything but a plain number."""
    asked = headers.get("retry-after", "").strip()
    return min(float(asked), LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,6}", asked) else 0.0


def api_key(settings: ServerEngineSettings) -> str | None:
    """Return the key in the environment. Raises BadInput: it is not set or not valid, or would be sent unencrypted."""
    if settings.api_key_variable is None:
        return None
    key = os.environ.get(settings.api_key_variable, "").strip()
    if not key:
        raise BadInput(f"engine.api_key_variable: the variable {settings.api_key_variable} is not set")
    if not SAFE_KEY.fullmatch(key):
        raise BadInput(
            f"engine.api_key_variable: {settings.api_key_variable} contains blanks or other invalid characters"
        )
    address = _url(settings.address)
    if address.scheme != "https" and not is_loopback(address.host):
        raise BadInput(
            f"engine.address: http://{address.host} is not encrypted, and the key of {settings.api_key_variable} would "
            "be sent in the clear; use https, or a tunnel to this machine"
        )
    return key


def _url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.rstrip("/") + "/")
        url.host.encode("idna")
    except (httpx.InvalidURL, ValueError) as error:
        raise BadInput(f"engine.address: {address!a} is not an address ({first_line(error)})") from None
    return url


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
