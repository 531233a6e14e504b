"""Counts that tests print: all of them at the end, also of tests that ran in another process (``pytest -n``)."""

from collections.abc import Callable

import pytest

COUNT = "count"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that keeps a line for the summary of the session."""
    node: pytest.Item = request.node

    def keep(line: str) -> None:
        node.user_properties.append((COUNT, line))

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines, whatever was captured; they are carried by the report of each test's last phase."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                for line in (line for name, line in report.user_properties if name == COUNT):
                    terminalreporter.write_line(line)
