"""How the Hub is called: bounded retries where they are safe, every error in one line with what to do, no secrets."""

import json
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx
from pydantic import SecretStr

from stepforge.pipelines.publishing.hub_token import redacted
from stepforge.schemas.errors import BadInput, RunFailed

T = TypeVar("T")
PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the second, third and fourth attempt."""
LONGEST_PAUSE = 60.0
"""Longest pause accepted when the Hub says when to retry."""
MOVED = "main has changed since the plan was made; publish again to see the new plan"
AGAIN = "uploaded files are kept; run the same command to resume"
STATUSES = {
    401: "the Hub does not accept the token; set HF_TOKEN to one that may write to this repository",
    403: "the token may not do this; it needs write access to {repo}",
    404: "{repo} does not exist or this token cannot see it; check the name and the token",
    409: f"{{repo}} is being changed by something else; {AGAIN}",
    412: MOVED,
    429: f"the Hub asks to slow down; wait a few minutes: {AGAIN}",
}
BROKEN = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
WITHOUT_STATUS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpx.TimeoutException,), f"the Hub did not answer in time; {AGAIN}"),
    ((httpx.ConnectError,), "the Hub cannot be reached; check the network and HF_ENDPOINT"),
    (BROKEN, f"the connection broke; {AGAIN}"),
)
QUOTED = 200
"""Characters shown of a server's own message."""


class HubCalls:
    """Makes the calls of one publication, and remembers whether anything was changed on the Hub."""

    def __init__(self, repo: str, token: SecretStr, note: Callable[[str], None]) -> None:
        self._repo, self._token, self._note = repo, token, note
        self._begun = False

    def once(self, doing: str, call: Callable[[], T], *, writes: bool = False) -> T:
        """Make a call that retries by itself, or must not be repeated.

        Raises:
            BadInput: the Hub does not know the repository or the token, and nothing was changed yet.
            RunFailed: any other error.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = call()
            except Exception as error:
                raise self._explained(error, doing) from None
            finally:
                for warning in (found for found in caught if issubclass(found.category, UserWarning)):
                    self._note(redacted(f"{doing}: {_one_line(warning.message)}", self._token))
        self._begun = self._begun or writes
        return answer

    def patiently(
        self,
        doing: str,
        call: Callable[[], T],
        *,
        writes: bool = False,
        before_another: Callable[[], T | None] = lambda: None,
    ) -> T:
        """Make a call that may be repeated. Its answer may be lost: ``before_another`` may find that it went through.

        Raises BadInput: as ``once``; RunFailed: as ``once``.
        """

        def attempts() -> T:
            for pause in PAUSES:
                try:
                    return call()
                except Exception as error:
                    if not _is_transient(error):
                        raise
                    seconds = max(pause, _wait_asked(error))
                time.sleep(seconds)
                if (through := before_another()) is not None:
                    return through
            return call()

        return self.once(doing, attempts, writes=writes)

    def _explained(self, error: Exception, doing: str) -> BadInput | RunFailed:
        """Return an error as the one line to show; bad input if nothing was started and the user can fix it."""
        if isinstance(error, BadInput | RunFailed):
            return error
        status, chain = status_of(error), list(_chain(error))
        if status:
            other = f"the Hub failed; try later: {AGAIN}" if status >= 500 else "the Hub refused"
            why = f"{status}, {STATUSES.get(status, other).format(repo=self._repo)}"
        else:
            known = (line for kinds, line in WITHOUT_STATUS if any(isinstance(e, kinds) for e in chain))
            why = next(known, f"{type(error).__name__}: {_one_line(error)[:QUOTED]}")
        words = next((e.server_message for e in chain if isinstance(e, HfHubHTTPError)), None)
        said = f" (the Hub says: {_one_line(words)[:QUOTED]})" if words and words.strip() else ""
        full = redacted(f"{doing}: {why}{said}", self._token)
        return BadInput(full) if status in (401, 403, 404) and not self._begun else RunFailed(full)


def status_of(error: BaseException) -> int | None:
    return next((int(e.response.status_code) for e in _chain(error) if isinstance(e, HfHubHTTPError)), None)


def _is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later. Used only where a retry does no harm."""
    status = status_of(error)
    if status is not None:
        return status in (408, 429) or status >= 500
    return any(isinstance(e, (*BROKEN, json.JSONDecodeError)) for e in _chain(error))


def _wait_asked(error: BaseException) -> float:
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else 0.0


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it: uploads wrap the error that matters."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
