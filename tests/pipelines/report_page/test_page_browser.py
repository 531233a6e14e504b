"""The report in a real browser: nothing asked of the network, nothing hostile alive, axe content, mathematics set."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import ACTIVE, PAYLOADS
from view_runs import a_view_run, labeled_rows, with_texts

from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.report_page.page import write_page
from stepforge.schemas.labeled import LabeledProblem

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MATH = "Then $x^2 = \\frac{1}{4}$, so \\(x = \\tfrac12\\). It costs $5 and $6.\n"
OWN = ":not(head > style, head > meta, body > script:last-child)"
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = os.environ.get("STEPFORGE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        pytest.skip("NOT TESTED: the report in a browser; it needs chromium and stepforge[browser]")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    with ThreadPoolExecutor(1) as other:  # playwright's loop runs in this thread
        return other.submit(labeled_rows, 8).result()


def with_math(row: LabeledProblem) -> LabeledProblem:
    """Return a problem whose solutions begin with formulas."""
    solutions = []
    for solution in row.solutions:
        first, *rest = solution.rollout.steps
        steps = (first.model_copy(update={"text": MATH}), *rest)
        solutions.append(solution.model_copy(update={"rollout": solution.rollout.model_copy(update={"steps": steps})}))
    return row.model_copy(update={"solutions": tuple(solutions)})


def written(folder: Path, rows: list[LabeledProblem]) -> Path:
    layout = a_view_run(folder, rows)
    return Path(str(write_page(*open_run(layout.folder), fresh_report(layout.folder))))


@contextmanager
def looking(browser: Any, path: Path, width: int, scheme: str) -> Iterator[Any]:
    """Give the page as a file, and fail on anything that its console says or that it asks for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or said.append(request.url))
    page.goto(f"file://{path}")
    yield page
    context.close()
    assert said == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_reads_well_at_every_width_and_in_every_light(
    browser: Any, rows: list[LabeledProblem], tmp_path: Path, width: int, scheme: str
) -> None:
    import axe_playwright_python

    path = written(tmp_path / "run", [with_math(row) for row in rows])
    with looking(browser, path, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("article").count() == 20
        assert page.locator(".katex").count() >= 40
        assert "$5 and $6" in page.locator(".step .text").first.inner_text()
        page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
        found = page.evaluate("axe.run().then(result => result.violations)")
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []


def test_a_hundred_hostile_texts_leave_nothing_active(browser: Any, rows: list[LabeledProblem], tmp_path: Path) -> None:
    for number, start in enumerate(range(0, len(PAYLOADS), 20)):
        hostile = [with_texts(rows[i % len(rows)], text) for i, text in enumerate(PAYLOADS[start : start + 20])]
        path = written(tmp_path / f"run{number}", hostile)
        with looking(browser, path, 1280, "light") as page:
            assert page.evaluate("window.attacked") is None
            active = ", ".join(f"{selector}{OWN}" for selector in ACTIVE.split(", "))
            assert [e.evaluate("e => e.outerHTML") for e in page.locator(active).all()] == []


def test_on_paper_it_is_light_and_whole(browser: Any, rows: list[LabeledProblem], tmp_path: Path) -> None:
    path = written(tmp_path / "run", rows)
    with looking(browser, path, 1280, "dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").first.is_visible()
        assert len(page.pdf(format="A4")) > 20_000
