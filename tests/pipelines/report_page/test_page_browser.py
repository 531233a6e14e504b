"""The report in a real browser: nothing asked of the network, nothing hostile alive, axe content, mathematics set."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from browser_pages import chromium, looking_at, rows_beside_a_browser, serious_axe_findings, with_math
from hostile_texts import ACTIVE, PAYLOADS
from view_runs import a_view_run, with_texts

from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.report_page.page import write_page
from stepforge.schemas.labeled import LabeledProblem

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
OWN = ":not(head > style, head > meta, body > script:last-child)"
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (640, "dark")]
"""640 is a window of 1280 at 200 %."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return rows_beside_a_browser(8)


def written(folder: Path, rows: list[LabeledProblem]) -> Path:
    layout = a_view_run(folder, rows)
    return Path(str(write_page(*open_run(layout.folder), fresh_report(layout.folder))))


def looking(browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> AbstractContextManager[Any]:
    window = {"width": width, "height": 900}
    return looking_at(browser, path.as_uri(), ("file:", "data:"), viewport=window, color_scheme=scheme)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_reads_well_at_every_width_and_in_every_light(
    browser: Any, rows: list[LabeledProblem], tmp_path: Path, width: int, scheme: str
) -> None:
    mathematical = [
        row.model_copy(update={"solutions": tuple(with_math(solution) for solution in row.solutions)}) for row in rows
    ]
    with looking(browser, written(tmp_path / "run", mathematical), width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("article").count() == 20
        assert page.locator(".katex").count() >= 40
        assert "$5 and $6" in page.locator(".step .text").first.inner_text()
        assert serious_axe_findings(page) == []


def test_a_hundred_hostile_texts_leave_nothing_active(browser: Any, rows: list[LabeledProblem], tmp_path: Path) -> None:
    for number, start in enumerate(range(0, len(PAYLOADS), 20)):
        hostile = [with_texts(rows[i % len(rows)], text) for i, text in enumerate(PAYLOADS[start : start + 20])]
        with looking(browser, written(tmp_path / f"run{number}", hostile)) as page:
            assert page.evaluate("window.attacked") is None
            active = ", ".join(f"{selector}{OWN}" for selector in ACTIVE.split(", "))
            assert [e.evaluate("e => e.outerHTML") for e in page.locator(active).all()] == []


def test_on_paper_it_is_light_and_whole(browser: Any, rows: list[LabeledProblem], tmp_path: Path) -> None:
    with looking(browser, written(tmp_path / "run", rows), scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").first.is_visible()
        assert len(page.pdf(format="A4")) > 20_000
