"""Where the Hub is, and the HTTP client that talks to it: timeouts, and the token only for that origin."""

import os
from urllib.parse import urlsplit

from huggingface_hub import set_client_factory
from huggingface_hub.utils import httpx

from stepforge.pipelines.engines.server_connection import is_loopback
from stepforge.schemas.errors import BadInput

HUB = "https://huggingface.co"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""Longest silence of the Hub before a call counts as timed out; its own limit for a commit is about a minute."""


def hub_endpoint() -> str:
    """Return ``HF_ENDPOINT``, or the public Hub.

    Raises BadInput: it is neither https nor loopback (the token would be sent in the clear), or carries credentials.
    """
    given = os.environ.get("HF_ENDPOINT") or HUB
    try:
        parts = urlsplit(given)
        odd = parts.username or parts.password or parts.query or parts.fragment or parts.port == 0
    except ValueError:
        odd = True
    if odd or not parts.hostname:
        raise BadInput("HF_ENDPOINT: must be a plain address such as https://huggingface.co, without credentials")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise BadInput(
            f"HF_ENDPOINT: {parts.scheme}://{parts.hostname} is neither https nor loopback; "
            "the token would be sent in the clear, so nothing was sent"
        )
    return given.rstrip("/")


def use_our_client(endpoint: str) -> None:
    """Have ``huggingface_hub`` use our client from here on: it has timeouts, its own has none."""
    set_client_factory(lambda: _client(endpoint))


def _client(endpoint: str) -> httpx.Client:
    home = _origin(endpoint)

    def keep_token_home(request: httpx.Request) -> None:
        if _origin(str(request.url)) != home:
            request.headers.pop("authorization", None)

    return httpx.Client(
        event_hooks={"request": [keep_token_home]},
        follow_redirects=True,
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        trust_env=not is_loopback(urlsplit(endpoint).hostname or ""),  # no proxy between us and loopback
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
