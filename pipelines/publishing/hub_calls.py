"""How the Hub is called: bounded retries where they are safe, every error in one line, nothing secret shown."""

import time
import warnings
from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from stepforge.pipelines.publishing.hub_errors import explained, is_transient
from stepforge.pipelines.publishing.hub_token import redacted

T = TypeVar("T")
PAUSES = (1.0, 4.0, 15.0)
"""Seconds before the second, third and fourth attempt."""
LONGEST_PAUSE = 60.0
"""Longest pause accepted when the Hub says when to retry."""


class HubCalls:
    """Makes the calls of one publication, and remembers whether anything was changed on the Hub."""

    def __init__(self, repo: str, token: SecretStr, note: Callable[[str], None]) -> None:
        self._repo = repo
        self._token = token
        self._note = note
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
                raise explained(error, doing, self._repo, self._token, begun=self._begun) from None
            finally:
                for warning in (found for found in caught if issubclass(found.category, UserWarning)):
                    self._note(redacted(f"{doing}: {' '.join(str(warning.message).split())}", self._token))
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
                    if not is_transient(error):
                        raise
                    seconds = max(pause, _wait_asked(error))
                time.sleep(seconds)
                if (through := before_another()) is not None:
                    return through
            return call()

        return self.once(doing, attempts, writes=writes)


def _wait_asked(error: BaseException) -> float:
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else 0.0
