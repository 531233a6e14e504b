"""The Hub's errors as one line with what to do; and which of them a retry may fix."""

import json
from collections.abc import Iterator

from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx
from pydantic import SecretStr

from stepforge.pipelines.publishing.hub_token import redacted
from stepforge.schemas.errors import BadInput, RunFailed

MOVED = "main has changed since the plan was made; publish again to see the new plan"
AGAIN = "uploaded files are kept; run the same command to resume"
BROKEN = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
QUOTED = 200
"""Characters shown of a server's own message."""


def status_of(error: BaseException) -> int | None:
    return next((int(e.response.status_code) for e in _chain(error) if isinstance(e, HfHubHTTPError)), None)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later. Used only where a retry does no harm."""
    status = status_of(error)
    if status is not None:
        return status in (408, 429) or status >= 500
    return any(isinstance(e, (*BROKEN, json.JSONDecodeError)) for e in _chain(error))


def explained(error: BaseException, doing: str, repo: str, token: SecretStr, *, begun: bool) -> BadInput | RunFailed:
    """Return an error as the one line to show; bad input if nothing was started and the user can fix it."""
    if isinstance(error, BadInput | RunFailed):
        return error
    status = status_of(error)
    line = f"{doing}: {_by_status(status, repo) if status else _without_status(error)}"
    words = _server_words(error)
    full = redacted(f"{line} (the Hub says: {words})" if words else line, token)
    return BadInput(full) if status in (401, 403, 404) and not begun else RunFailed(full)


def _by_status(status: int, repo: str) -> str:
    known = {
        401: "the Hub does not accept the token; set HF_TOKEN to one that may write to this repository",
        403: f"the token may not do this; it needs write access to {repo}",
        404: f"{repo} does not exist or this token cannot see it; check the name and the token",
        409: f"{repo} is being changed by something else; {AGAIN}",
        412: MOVED,
        429: f"the Hub asks to slow down; wait a few minutes: {AGAIN}",
    }
    other = f"the Hub failed; try later: {AGAIN}" if status >= 500 else "the Hub refused"
    return f"{status}, {known.get(status, other)}"


def _without_status(error: BaseException) -> str:
    chain = list(_chain(error))
    if any(isinstance(e, httpx.TimeoutException) for e in chain):
        return f"the Hub did not answer in time; {AGAIN}"
    if any(isinstance(e, httpx.ConnectError) for e in chain):
        return "the Hub cannot be reached; check the network and HF_ENDPOINT"
    if any(isinstance(e, BROKEN) for e in chain):
        return f"the connection broke; {AGAIN}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:QUOTED]}"


def _server_words(error: BaseException) -> str:
    words = next((e.server_message for e in _chain(error) if isinstance(e, HfHubHTTPError)), None)
    return " ".join((words or "").split())[:QUOTED]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it: uploads wrap the error that matters."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
