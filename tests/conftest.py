"""The order of the files; and counts that tests print, all at the end, also of another process (``pytest -n``)."""

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # there are more processes than cores already
os.fsync = lambda _: None  # no file of a test need outlive a power cut, and each wait takes milliseconds
COUNT = "count"
LONGEST = (
    "engines/test_engines.py",
    "tests/chaos/",
    "run/test_run.py",
    "run/test_cluster.py",
    "examples/test_examples.py",
    "tests/test_configs.py",
    "viewer/",
    "review/",
    "exports/test_few_rows.py",
    "publishing/",
    "sandbox/",
)
"""Files that take longest: they come first, so that the processes of ``pytest -n`` end together."""

NEED_TORCH = (
    "engines/test_engines.py",
    "engines/test_engine_parts.py",
    "engines/test_vllm_arguments.py",
    "scorers/",
    "commands/test_rounds.py",
    "generators/test_search.py",
)
"""Files that load torch, or vLLM, which takes seconds and half a gigabyte."""

UNDER_RAY = ("run/test_run.py", "run/test_cluster.py", "examples/test_examples.py")
"""Files whose runs join one Ray, which takes seconds to start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    items.sort(key=lambda item: next((i for i, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST)))


def pytest_collection_finish() -> None:
    """Leave the thousands of tests and all modules out of every look for reference cycles."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process run all files that need torch, so that the others never load it, and one those that need Ray."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            for files in (NEED_TORCH, UNDER_RAY):
                if any(part in nodeid for part in files):
                    return files[0]
            return str(super()._split_scope(nodeid))

    return Together(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture
def anyio_backend() -> str:
    """Let tests that are coroutines run on asyncio."""
    return "asyncio"


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
