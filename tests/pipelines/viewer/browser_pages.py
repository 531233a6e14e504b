"""A real Chromium: pages that fail on anything their console says or ask elsewhere, and axe."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from view_runs import labeled_rows

from stepforge.schemas.labeled import LabeledProblem, LabeledSolution

MATH = (
    "Then $x^2 = \\frac{1}{4}$, so \\(x = \\tfrac12\\), $1"
    + " + 1" * 40
    + "$. It costs $5 and $6, $\\text{so it seems}$.\n"
)


@contextmanager
def chromium() -> Iterator[Any]:
    """Open the browser, or skip what needs one."""
    found = os.environ.get("STEPFORGE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None or find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        pytest.skip("NOT TESTED: pages in a browser; it needs chromium and stepforge[browser]")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


def rows_beside_a_browser(count: int) -> list[LabeledProblem]:
    """Return labeled problems; playwright's loop runs in this thread, so that they are made in another."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(labeled_rows, count).result()


def with_math(solution: LabeledSolution) -> LabeledSolution:
    """Return a solution whose first step holds formulas and prices."""
    first, *rest = solution.rollout.steps
    steps = (first.model_copy(update={"text": MATH}), *rest)
    return solution.model_copy(update={"rollout": solution.rollout.model_copy(update={"steps": steps})})


@contextmanager
def looking_at(browser: Any, address: str, may_ask: tuple[str, ...], **context: Any) -> Iterator[Any]:
    """Give a page at an address; it may ask only for what begins so."""
    opened = browser.new_context(**context)
    page, said = opened.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: request.url.startswith(may_ask) or said.append(f"asked for {request.url}"))
    page.goto(address)
    yield page
    opened.close()
    assert said == []


def serious_axe_findings(page: Any) -> list[tuple[str, str]]:
    """Return the rule and the element of each serious finding."""
    import axe_playwright_python

    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run().then(result => result.violations)")
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in serious]
