"""The viewer in a real browser: everything by keyboard, nothing on the console, nothing hostile alive, axe content."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser_pages import chromium, looking_at, rows_beside_a_browser, serious_axe_findings, with_math
from hostile_texts import ACTIVE, PAYLOADS
from view_runs import a_view_run, with_texts

from benchmarks.viewer import Served
from stepforge.labelers.people_rule import digest_up_to
from stepforge.pipelines.review.condensed import FILE, CondensedStep
from stepforge.pipelines.review.findings import add_lines, read_findings
from stepforge.pipelines.review.queue import build_queue, read_queue, save_queue
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_row
from stepforge.schemas.labeled import LabeledProblem

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def rows() -> list[LabeledProblem]:
    return rows_beside_a_browser(12)


@pytest.fixture(scope="module")
def layout(rows: list[LabeledProblem], tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Return a run with formulas in the first problem and code in the second."""
    first, second, *others = rows
    text = "```python\nfor i in range(3):  # three\n    print('a')\n```"
    mathematical = first.model_copy(update={"solutions": (with_math(first.solutions[0]), *first.solutions[1:])})
    code = second.model_copy(update={"problem": second.problem.model_copy(update={"question": text})})
    run = a_view_run(tmp_path_factory.mktemp("browser") / "run", [mathematical, code, *others])
    save_queue(run, build_queue(run, 30))
    return run


def serving(folder: Path, *options: str) -> Served:
    """The viewer as a process of its own, with anna at work."""
    return Served(folder, "--reviewer", "anna", *options, token="browser-token")  # noqa: S106


@contextmanager
def looking(browser: Any, server: Served, **context: Any) -> Iterator[Any]:
    """Give a page that has the cookie."""
    with looking_at(browser, f"{server.address}/?token={server.token}", (server.address,), **context) as page:
        page.wait_for_selector(".row")
        yield page


@pytest.fixture(scope="module")
def server(layout: Layout) -> Iterator[Served]:
    with serving(layout.folder) as started:
        yield started


@pytest.fixture
def copy(layout: Layout, tmp_path: Path) -> Path:
    """Return a run that may be written to."""
    return Path(shutil.copytree(layout.folder, tmp_path / "run"))


def views(page: Any, address: str) -> list[str]:
    """Return the addresses of one view of each kind."""
    at = page.locator(".row").nth(1).get_attribute("href")
    problem = f"{address}{at.partition('?')[0]}"
    number = next(n for n in range(1, 5) if _slider_moves(page, f"{problem}/questions/{n}") or n == 4)
    return [
        f"{address}/",
        problem,
        f"{problem}/tree",
        f"{problem}/questions/{number}",
        f"{address}/review/1",
        f"{address}/keys",
    ]


def _slider_moves(page: Any, address: str) -> bool:
    page.goto(address)
    return page.locator("#at").count() > 0 and page.locator("#at").get_attribute("max") != "0"


def found_by_keyboard(page: Any, name: str) -> None:
    """Search for a problem, filter, and open it."""
    key = page.keyboard.press
    key("/")
    page.keyboard.type(name)
    key("Enter")
    page.wait_for_url(f"**q={name}*")
    page.locator("[name=outcome]").select_option("wrong")
    page.wait_for_url("**outcome=wrong*")
    assert page.locator(".row").count() == 1
    key("Escape")
    page.locator("h1").click()
    key("j")
    key("Enter")
    page.wait_for_url("**/problem/**")
    assert page.locator("h1").inner_text() == name


def steps_and_tree_by_keyboard(page: Any) -> None:
    key = page.keyboard.press
    key("j")
    key("j")
    assert "right up to here" in page.locator(".step:focus .facts").inner_text()
    assert page.locator(".step:focus .facts").is_visible()
    key("l")
    assert page.locator(".solution").nth(1).locator(".step:focus").count() == 1
    key("t")
    page.wait_for_url("**/tree*")
    assert page.locator(".branch").count() > 1
    key("b")
    page.wait_for_url(re.compile(r"/problem/label/\d+/\d+\?"))


def questions_by_keyboard(page: Any) -> None:
    key = page.keyboard.press
    key("s")
    last = page.locator("#now").inner_text()
    before = page.locator(".steps").inner_html()
    key("Home")
    assert (page.locator("#now").inner_text(), last != "0") == ("0", True)
    assert page.locator("tr.now th").inner_text() == "before"
    assert page.locator(".steps").inner_html() != before
    key("ArrowRight")
    assert page.locator("#now").inner_text() == "1"


def test_a_run_is_walked_and_ten_steps_are_reviewed_by_keyboard_alone(
    browser: Any, copy: Path, rows: list[LabeledProblem]
) -> None:
    wrong = next(i for i, r in enumerate(rows) if i > 1 and any(s.rollout.outcome == "wrong" for s in r.solutions))
    with serving(copy) as server, looking(browser, server) as page:
        key = page.keyboard.press
        found_by_keyboard(page, rows[wrong].problem.id)
        steps_and_tree_by_keyboard(page)
        at = page.url.partition("?")[0]
        place = next(i for i, s in enumerate(rows[wrong].solutions, 1) if s.rollout.outcome == "wrong")
        page.goto(f"{at}/questions/{place}")
        questions_by_keyboard(page)
        page.locator("h1").click()
        key("r")
        page.wait_for_url("**/review/*")
        for given in range(10):
            old = page.locator(".status").first.inner_text()
            key("2" if given % 4 == 0 else "1")
            page.wait_for_function("old => document.querySelector('.status')?.innerText !== old", arg=old)
            page.wait_for_selector(".step.asked")
        assert "10 findings" in page.locator(".status").first.inner_text()
        here = page.url
    assert len(read_findings(Layout(copy)).all) == 10
    with serving(copy) as server, looking(browser, server) as page:
        page.goto(f"{server.address}/review")
        assert "10 findings" in page.locator(".status").first.inner_text()
        assert page.url.rpartition("/")[2] == here.rpartition("/")[2] or page.locator(".step.asked").count() == 1


def test_a_finding_that_cannot_be_kept_is_said_to_be_lost(browser: Any, copy: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(copy) as server:
        page.goto(f"{server.address}/?token={server.token}")
        page.goto(f"{server.address}/review/1")
    page.keyboard.press("1")
    page.wait_for_function("() => document.getElementById('said').innerText.startsWith('Not saved')")
    with serving(copy, "--port", server.address.rpartition(":")[2]):
        page.keyboard.press("1")
        page.wait_for_url(re.compile(r"/review/(?!1$)"))
        assert len(read_findings(Layout(copy)).all) == 1
        context.close()


def test_what_a_model_wrote_is_marked_and_hidden_on_demand(browser: Any, layout: Layout, copy: Path) -> None:
    queue = read_queue(layout)
    assert queue is not None
    item = queue.items[0]
    rollout = read_row(layout.shard("label", item.shard), LabeledProblem, item.row).solutions[item.solution].rollout
    digest, text = digest_up_to(rollout, item.step), "It adds <b>two</b> numbers."
    one = CondensedStep(solution_id=rollout.id, step=item.step, text_digest=digest, model="m-1", text=text, at="now")
    add_lines(Layout(copy), FILE, [one])
    with serving(copy) as server, looking(browser, server) as page:
        page.goto(f"{server.address}/review/1")
        told = page.locator(".condensed").inner_text()
        assert "m-1" in told and "checked by nobody" in told and text in told
        page.keyboard.press("m")
        page.reload()
        assert not page.locator(".condensed").is_visible()
        page.keyboard.press("1")
        page.wait_for_function("() => !location.pathname.endsWith('/1') || document.querySelector('.chip')")
        page.goto(f"{server.address}/review/1")
        page.keyboard.press("m")
        page.keyboard.press("2")
        page.wait_for_function("() => !location.pathname.endsWith('/1') || document.querySelector('.chip')")
    assert [one.shown for one in read_findings(Layout(copy)).all] == [("reference",), ("reference", "condensed")]


def test_formulas_and_code_are_set_and_prices_are_not(browser: Any, server: Served) -> None:
    with looking(browser, server) as page:
        page.goto(f"{server.address}/problem/label/0/0")
        page.wait_for_selector(".step .katex")
        first = page.locator(".step").first
        assert first.locator(".katex").count() == 4
        assert first.locator(".katex .text").evaluate("word => getComputedStyle(word).whiteSpace") == "nowrap"
        assert "costs $5 and $6" in first.inner_text()
        page.goto(f"{server.address}/problem/label/0/1")
        page.wait_for_selector(".code .k")
        assert page.locator(".code .k").all_inner_texts() == ["for", "in", "range", "print"]
        fonts = page.evaluate(
            "document.fonts.ready.then(() => [...document.fonts].filter(f => f.status === 'error').length)"
        )
        assert fonts == 0


def test_a_hundred_hostile_texts_leave_nothing_active(
    browser: Any, rows: list[LabeledProblem], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    assert len(PAYLOADS) == 100
    hostile = [with_texts(rows[i % len(rows)], payload) for i, payload in enumerate(PAYLOADS)]
    run = a_view_run(tmp_path / "run", hostile, per_shard=50)
    save_queue(run, build_queue(run, 8))
    alive = attacked = looked_at = 0
    with serving(run.folder) as server, looking(browser, server) as page:
        pages = [f"/problem/label/{i // 50}/{i % 50}" for i in range(100)]
        pages += [f"/problem/label/1/{i}{part}" for i in range(0, 50, 10) for part in ("/tree", "/questions/1")]
        for path in ["/", "/?page=2", "/review/1", *pages]:
            page.goto(f"{server.address}{path}", wait_until="load")
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            page.wait_for_timeout(30)
            alive += page.locator(ACTIVE).count()
            attacked += page.evaluate("Number('attacked' in window)")
            looked_at += 1
    tell(f"viewer: {len(PAYLOADS)} hostile texts on {looked_at} pages: {alive} active elements, {attacked} scripts ran")
    assert (alive, attacked) == (0, 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, server: Served, scheme: str, tell: Callable[[str], None]) -> None:
    found = []
    with looking(browser, server, color_scheme=scheme) as page:
        kinds = views(page, server.address)
        for address in kinds:
            page.goto(address)
            page.wait_for_timeout(200)
            found += [(address, *one) for one in serious_axe_findings(page)]
    tell(f"viewer: axe, {scheme}: {len(found)} serious findings on {len(kinds)} views")
    assert found == []


@pytest.mark.parametrize(("width", "height"), [(390, 800), (640, 430)])
def test_a_phone_and_twice_the_size_need_no_sideways_scrolling(
    browser: Any, server: Served, width: int, height: int
) -> None:
    """640 by 430 is a window of 1280 by 860 at 200 %."""
    with looking(browser, server, viewport={"width": width, "height": height}) as page:
        for address in views(page, server.address):
            page.goto(address)
            page.wait_for_timeout(100)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            small = page.evaluate(
                "[...document.querySelectorAll('button, .button, .row, select, .step, .branch')]"
                ".filter(e => e.offsetParent && e.getClientRects().length)"
                ".filter(e => e.offsetHeight < 24 || e.getBoundingClientRect().right > innerWidth).length"
            )
            assert small == 0, address
        page.goto(f"{server.address}/review/1")
        covered = page.evaluate(
            "(() => { const step = document.querySelector('.step.asked').getBoundingClientRect();"
            "return document.elementFromPoint(step.left + 20, step.top + 12)?.closest('.step.asked') === null; })()"
        )
        assert not covered


def test_a_run_that_goes_on_is_seen_without_a_reload(browser: Any, rows: list[LabeledProblem], tmp_path: Path) -> None:
    run = a_view_run(tmp_path / "run", rows[:4])
    with serving(run.folder) as server, looking(browser, server) as page:
        assert page.locator(".row").count() == 4
        a_view_run(run.folder, rows)
        page.wait_for_function("() => document.querySelectorAll('.row').length === 12", timeout=30_000)
