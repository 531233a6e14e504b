"""The report as a page: self-contained, complete, and harmless whatever a run's texts say."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_texts import PAYLOADS
from scripted_rows import scripted_rows
from small_run import small_run
from view_runs import a_view_run, with_texts

from stepforge.labelers import MathShepherd
from stepforge.pipelines.progress.status import fresh_report, open_run
from stepforge.pipelines.report_page.page import page
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.labeled import Rejected

SECTIONS = ("what", "lost", "quality", "labels", "cost", "time", "solutions", "all")
HARMLESS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "article", "a", "p", "b"),
    *("h1", "h2", "h3", "ul", "ol", "li", "dl", "dt", "dd", "div", "span", "i", "code", "pre", "details", "summary"),
    *("figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "rect", "text", "line", "circle", "polygon"),
}


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page_of(folder: Path) -> str:
    report = fresh_report(folder)
    return page(*open_run(folder), report)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return small_run(tmp_path_factory.mktemp("page") / "run", exports=["stepwise"])


def test_every_section_is_there_and_nothing_comes_from_elsewhere(small: Layout) -> None:
    text = page_of(Path(str(small.folder)))
    elements = Elements(text).found
    assert {tag for tag, _ in elements} <= HARMLESS
    assert [attrs["id"] for tag, attrs in elements if tag == "section"] == list(SECTIONS)
    assert all(str(attrs["href"]).startswith("#") for _, attrs in elements if "href" in attrs)
    assert not any({"src", "style", "srcdoc"} & set(attrs) for _, attrs in elements)
    assert all(attrs["role"] == "img" and attrs["aria-label"] for tag, attrs in elements if tag == "svg")
    assert "default-src 'none'" in text
    shown = json.loads(small.report.read_text())["chosen"]
    assert sum(tag == "article" for tag, _ in elements) == len(shown) > 0


def test_losses_are_named_with_an_example(small: Layout, tmp_path: Path) -> None:
    from stepforge.pipelines.reports.examples import loss_examples
    from stepforge.pipelines.run_folder.ledger import StageTotal
    from stepforge.pipelines.storage.shards import write_shard

    layout = Layout(tmp_path)
    rows = [
        Rejected(problem_id=f"p{i}", filter="shape", reason="too long", row=json.dumps({"question": f"Q{i}?"}))
        for i in range(5)
    ]
    write_shard(layout.rejected("vet", 0), rows, Rejected, {"stage": "vet", "shard": 0})
    found = loss_examples(layout, {"vet": StageTotal(rejected={"shape: too long": 5})})
    assert [(one.reason, one.problem_id, one.text) for one in found] == [
        ("shape: too long", "p0", "Q0?"),
        ("shape: too long", "p1", "Q1?"),
    ]


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    row = scripted_rows([MathShepherd(k=2)], 1, error_rate=0.3)[0]
    rows = [with_texts(row, payload) for payload in PAYLOADS[:40]]
    layout = a_view_run(tmp_path / "run", rows, 20)
    text = page_of(Path(str(layout.folder)))
    start, script = text.index("<body>"), text.rindex("<script>")
    elements = Elements(text[start:script] + "</body>").found
    assert {tag for tag, _ in elements} <= HARMLESS
    assert not any(name.startswith("on") for _, attrs in elements for name in attrs)
    assert text.count("<script>") == 1
    assert "window.attacked" in unescape(re.sub(r"<[^>]*>", "", text[start:script]))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\u2028]", text[start:script])
