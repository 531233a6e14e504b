"""The pages: every link leads somewhere, lines can be read, and committed results stay small."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stepforge.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {"docs/reference/settings.md", "docs/reference/records.md", "docs/results/labelers.md"}
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def prose(page: Path) -> Iterator[str]:
    """Yield the lines outside code blocks."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield line


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Return the relative links of a page."""
    text = "\n".join(prose(page))
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "Makefile"], ids=[*NAMES, "Makefile"])
def test_benchmarks_are_named_as_modules(page: Path) -> None:
    """As a script, one does not find the others."""
    if page.name != "CHANGELOG.md":
        text = page.read_text(encoding="utf-8")
        assert "python benchmarks/" not in text
        for name in re.findall(r"-m benchmarks\.([a-z_.]*[a-z_])", text):
            path = ROOT / "benchmarks" / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_links_were_looked_at() -> None:
    assert sum(len(links(page)) for page in PAGES) > 40


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    missing = [name for page, name in zip(PAGES, NAMES, strict=True) if name.startswith("docs/") and page != index]
    assert not [name for name in missing if (ROOT / name).resolve() not in reached]


@pytest.mark.parametrize(
    "page", [p for p, name in zip(PAGES, NAMES, strict=True) if name not in GENERATED], ids=lambda page: page.name
)
def test_prose_lines_are_short(page: Path) -> None:
    long = [line for line in prose(page) if len(line) > 100 and not line.startswith(("|", "#", "!["))]
    assert not long, f"{len(long)} lines of more than 100 characters, the first: {long[0]}"


@pytest.mark.parametrize("name, limit", [("README.md", 200), ("docs/architecture.md", 240)])
def test_front_pages_stay_short(name: str, limit: int) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= limit


def test_the_command_line_page_names_every_command_and_option() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    command: Any = typer.main.get_command(app)
    commands = [(name, c) for name, c in command.commands.items() if name != "bench"]
    commands.append(("bench labelers", command.commands["bench"].commands["labelers"]))
    for name, found in commands:
        assert f"`stepforge {name}" in page, name
        options = [option.opts[0] for option in found.params if option.opts[0].startswith("--")]
        assert not [option for option in options if f"`{option}" not in page], name
        markup = [option.help for option in found.params if "[" in (option.help or "")]
        assert not markup, "the terminal takes brackets for markup and shows nothing"


def test_committed_results_are_small() -> None:
    results = list((ROOT / "benchmarks" / "results").iterdir())
    assert results
    assert not [path.name for path in results if path.stat().st_size > 200_000]
