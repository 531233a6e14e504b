"""The pictures of the viewer and the report in docs/pictures, taken by a headless Chromium.

    stepforge run configs/demo.toml --out runs/demo && stepforge review runs/demo && stepforge report runs/demo --html
    python -m benchmarks.viewer_pictures runs/demo

Needs Chromium and `pip install 'stepforge[browser]'`.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import typer

from benchmarks.viewer import Served

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES = 150_000


def main(run: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not installed")
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with Served(run, "--reviewer", "anna") as served, sync_playwright() as started:
        served.until_read()
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            _take(browser, served, scheme)
        take_report(browser, run)
        browser.close()


def _take(browser: Any, served: Served, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1120, "height": 720}, color_scheme=scheme)
    page, address = context.new_page(), served.address
    page.goto(f"{address}/?token={served.token}")
    if scheme == "light":
        _shoot(page, "viewer-list")
    page.goto(f"{address}/?outcome=wrong&labeler=change_point&verdict=wrong_step&sort=uncertainty")
    page.locator(".row").first.click()
    page.wait_for_url(re.compile("/problem/"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    name = "viewer-problem" if scheme == "light" else "viewer-problem-dark"
    _shoot(page, name)
    if scheme == "dark":
        context.close()
        return
    page.keyboard.press("q")
    page.wait_for_url(re.compile("/questions/"))
    page.locator("#at").focus()
    _shoot(page, "viewer-questions")
    page.keyboard.press("b")
    page.wait_for_url(re.compile(r"/problem/label/\d+/\d+\?"))
    page.keyboard.press("t")
    page.wait_for_url(re.compile("/tree"))
    _shoot(page, "viewer-tree")
    page.set_viewport_size({"width": 390, "height": 760})
    page.goto(f"{address}/review")
    _shoot(page, "review-phone")
    context.close()


def take_report(browser: Any, run: Path) -> None:
    """Take the picture of the report of a run, which must be written already."""
    page = browser.new_page(viewport={"width": 1000, "height": 1040})
    page.goto((run / "report.html").resolve().as_uri())
    _shoot(page, "report")
    page.close()


def _shoot(page: Any, name: str) -> None:
    page.wait_for_timeout(400)
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"{path.name} is larger than {MOST_BYTES / 1000:.0f} kB")


if __name__ == "__main__":
    typer.run(main)
