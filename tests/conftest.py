"""Counts that tests print: each as it is told (``-s``), and all of them at the end."""

from collections.abc import Callable

import pytest

COUNTS = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that keeps a line for the summary of the session."""
    return pytestconfig.stash.setdefault(COUNTS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the lines, whatever was captured."""
    for line in config.stash.get(COUNTS, []):
        terminalreporter.write_line(line)
