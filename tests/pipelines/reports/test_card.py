"""The data set card: YAML that the Hub reads back, every section there, and no text that breaks out of its place."""

import json
import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported_rows import WITH_ROWS
from huggingface_hub import DatasetCard
from scripted_rows import curated_run, exported_run, scripted_rows

from stepforge.filters import Contamination
from stepforge.generators.problem_sets import ProblemSet
from stepforge.labelers import OmegaPRM
from stepforge.pipelines.datasets.writer import export_all
from stepforge.pipelines.exports import EXPORTS, Stepwise
from stepforge.pipelines.reports.card import write_card
from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.card.front_matter import front_matter, licenses_of
from stepforge.pipelines.reports.card.peoples_section import read_card
from stepforge.pipelines.reports.card.safe_text import cell, fenced
from stepforge.pipelines.reports.card.sections import decontamination
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.pipelines.reports.charts import Bar, bars
from stepforge.pipelines.reports.report import measured, write_report
from stepforge.pipelines.run_folder.ledger import write_ledger
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.terminal.output import visible
from stepforge.schemas.labeled import LabeledProblem

SECTIONS = (
    "## How to load it",
    "## How to train on it",
    "## What is in it",
    "## Label noise",
    "## Cost",
    "## Policy, engine and code",
    "## Sources and licenses",
    "## Filters",
    "## Limits",
    "## Examples",
)
HOSTILE = (
    "```\n# broken out\n<script>alert(1)</script>",
    "`````\n</pre><img src=x onerror=alert(1)>",
    "---\nlicense: mit\n---",
    "| a | b |\n|---|---|\n| [x](javascript:alert(1)) | ![i](http://h/i.png) |",
    "\x1b[2J\x1b]0;title\x07 \u202egnp.exe\u202c \u200bzero\ufeff",
    "<details><summary>x</summary>&lt;b&gt;",
    "line\r\nnext\x00\x0b\x0c",
)


def done(folder: Path, rows: list[LabeledProblem]) -> tuple[RunFile, Layout, str]:
    run, layout = exported_run(folder, rows, [part() for part in EXPORTS])
    return run, layout, (layout.datasets / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFile, Layout, str]:
    return done(tmp_path_factory.mktemp("card"), scripted_rows([OmegaPRM(grow=False)], 24))


def yaml_of(text: str) -> dict[str, Any]:
    _, head, _ = text.split("---\n", 2)
    loaded: dict[str, Any] = yaml.safe_load(head)
    return loaded


def without_marks(text: str) -> str:
    """Return a card without the two comments around its kept section."""
    card = read_card(text)
    assert card is not None
    return card.rest


def outside_fences(text: str) -> str:
    """What a Markdown reader does not take for code: a fence ends at a line of at least as many backticks."""
    left, fence = [], ""
    for line in text.splitlines():
        run = re.match("`*", line)[0]  # type: ignore[index]
        if not fence and len(run) >= 3:
            fence = run
        elif fence and len(run) >= len(fence) and line == run:
            fence = ""
        elif not fence:
            left.append(line)
    assert not fence
    return "\n".join(left)


def test_the_front_matter_reads_back(card: tuple[RunFile, Layout, str]) -> None:
    run, layout, text = card
    data = yaml_of(text)
    assert data == front_matter(run, layout).to_dict()
    loaded = DatasetCard(text)
    assert loaded.data.pretty_name == "Process supervision by stepforge"
    assert loaded.text.lstrip().startswith("# Process supervision data")
    assert [config["config_name"] for config in data["configs"]] == [*(part().name for part in WITH_ROWS), "traces"]
    assert [config.get("default") for config in data["configs"]][:2] == [True, None]
    assert data["license"] == "apache-2.0"
    assert data["language"] == ["en"]
    assert data["task_categories"] == ["token-classification", "text-generation"]
    assert data["size_categories"] == ["n<1K"]
    assert data["annotations_creators"] == ["machine-generated"]


def test_every_section_and_every_export_with_rows_is_there(card: tuple[RunFile, Layout, str]) -> None:
    run, layout, text = card
    places = [outside_fences(text).index(title) for title in SECTIONS]
    assert places == sorted(places)
    with_rows = {part().name for part in WITH_ROWS}
    for export in run.export:  # one without rows cannot be loaded
        assert (f"### `{export.name}`\n\n{training_note(export).text}" in text) == (export.name in with_rows)
    assert len(re.findall(r"^### \d+\. ", text, re.M)) == 20
    assert str(layout.folder) not in text


def test_figures_lie_beside_the_card_and_hold_no_script(card: tuple[RunFile, Layout, str]) -> None:
    _, layout, text = card
    shown = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", outside_fences(text))
    assert shown == ["figures/first_errors.svg", "figures/values.svg", "figures/label_noise.svg"]
    for path in shown:
        tree = ElementTree.parse(layout.datasets / path)
        tags = {element.tag.rsplit("}", 1)[-1] for element in tree.iter()}
        assert tags <= {"svg", "rect", "text", "line"}


def test_costs_and_composition_are_those_of_the_rows(card: tuple[RunFile, Layout, str]) -> None:
    run, layout, text = card
    rows = [row for part in run.export if part.kind == "stepwise" for row in _rows(layout, part)]
    labels = [label for row in rows for label in row["labels"]]
    assert f"hold {labels.count(True)} steps labeled right and {labels.count(False)} labeled wrong" in text
    report = json.loads(layout.report.read_text())
    made = report["exports"]["stepwise"]["rows"]
    assert sum(made.values()) == len(rows)
    assert f"| stepwise | {made['train']} | {made['test']} |" in text
    near = report["diversity"]["near_copies"]
    assert near is None or f"{near:.1%} nearly repeat an earlier question with the same numbers; " in text


def _rows(layout: Layout, part: Stepwise) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    files = sorted((layout.datasets / part.name).glob("*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def test_texts_from_outside_stay_in_their_place(tmp_path: Path) -> None:
    rows = [_hostile(row, HOSTILE[i % len(HOSTILE)]) for i, row in enumerate(scripted_rows([OmegaPRM(grow=False)], 21))]
    _, layout, text = done(tmp_path, rows)
    data = yaml_of(text)
    assert data["license"] == "apache-2.0"
    _, body = text.split("\n---\n", 1)
    plain = outside_fences(without_marks(body))
    assert "<" not in plain.replace("&lt;", "")
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", plain)
    assert all(link.startswith("figures/") for link in links)
    assert "broken out" not in plain.replace("\\# broken out", "")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b\u202e\ufeff]", text)
    images = re.findall(r"(?<!\\)!\[", plain)
    assert len(images) == len(list((layout.datasets / "figures").iterdir()))
    for path in (layout.datasets / "figures").iterdir():
        assert {e.tag.rsplit("}", 1)[-1] for e in ElementTree.parse(path).iter()} <= {"svg", "rect", "text", "line"}


def _hostile(row: LabeledProblem, text: str) -> LabeledProblem:
    """The same labels over hostile words: question, domain and the first step of each solution."""
    problem = row.problem.model_copy(update={"question": text, "domain": text, "truth": None})
    solutions = []
    for solution in row.solutions:
        first, *others = solution.rollout.steps
        steps = (first.model_copy(update={"text": text}), *others)
        rollout = solution.rollout.model_copy(update={"steps": steps})
        solutions.append(solution.model_copy(update={"rollout": rollout}))
    return row.model_copy(update={"problem": problem, "solutions": tuple(solutions), "evidence": ()})


@pytest.mark.parametrize("text", HOSTILE)
def test_a_fence_is_longer_than_what_it_holds(text: str) -> None:
    lines = fenced(text).split("\n")
    fence = lines[-1]
    assert set(fence) == {"`"}
    assert lines[0] == f"{fence}text"
    assert all(fence not in line for line in lines[1:-1])
    assert outside_fences(fenced(text)) == ""
    assert "\n" not in cell(text)
    assert not re.search(r"(?<!\\)[|<>`\[\]]", cell(text))


def test_long_texts_are_cut_and_say_so() -> None:
    assert fenced("y" * 5000).count("y") == 2000
    assert "3000 more characters" in fenced("y" * 5000)
    assert visible("a\tb\r\nc\x1b") == "a\tb\nc\\u001b"


def test_licenses_and_language_of_problem_sets(tmp_path: Path) -> None:
    run, layout = curated_run(tmp_path, [], [Stepwise()])
    sets = (ProblemSet(hub="org/a", license="mit"), ProblemSet(hub="org/b", name="b"))
    other = run.model_copy(update={"generate": (*run.generate, *sets)})
    assert licenses_of(other) == ["apache-2.0", "mit", "unknown"]
    export_all(other, layout)
    data = front_matter(other, layout).to_dict()
    assert data["license"] == "other"
    assert data["source_datasets"] == ["extended|org/a", "extended|org/b"]
    assert "language" not in data


FEW = scripted_rows([OmegaPRM(grow=False)], 3)


@pytest.mark.parametrize("text", [*HOSTILE, "a: b\n---\n- c", "!!python/object/apply:os.system [id]", "&a *a"])
def test_a_license_from_outside_cannot_break_the_front_matter(tmp_path: Path, text: str) -> None:
    run, layout = curated_run(tmp_path, FEW, [Stepwise()])
    other = run.model_copy(update={"generate": (ProblemSet(path="p.jsonl", license=text),)})
    export_all(other, layout)
    write_report(other, layout, write_ledger(layout, []))
    loaded = DatasetCard.load(layout.datasets / "README.md")
    assert loaded.data.license == "other"
    assert [config["config_name"] for config in loaded.data.configs] == ["stepwise", "traces"]
    assert loaded.text.lstrip().startswith("# Process supervision data")
    assert "<" not in outside_fences(without_marks(loaded.text))


def test_an_empty_run_has_a_card_too(tmp_path: Path) -> None:
    _, _, text = done(tmp_path, [])
    assert "Not measured" in text
    assert yaml_of(text)["size_categories"] == ["n<1K"]


def test_examples_do_not_depend_on_order() -> None:
    rows = scripted_rows([OmegaPRM(grow=False)], 30)
    one, other = Contents(), Contents()
    for row in rows:
        one.add(row)
    for row in reversed(rows):
        other.add(row)
    assert one.examples == other.examples
    assert len(one.examples) == 20
    assert [e.solution.verdict.first_error is None for e in one.examples[:4]] == [False, True, False, True]


def test_bars_are_as_long_as_they_say() -> None:
    root = ElementTree.fromstring(bars("a < b", [Bar("x", 1.0, 0.5, 2.0, "n"), Bar("y", 0.5)]))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(rect.get("width", "0")) for rect in root.iter(f"{space}rect")][1:]
    assert widths[0] == pytest.approx(2 * widths[1])
    (line,) = root.iter(f"{space}line")
    assert float(line.get("x2", "0")) - float(line.get("x1", "0")) == pytest.approx(1.5 * widths[0], abs=0.11)
    assert "a < b" in [text.text for text in root.iter(f"{space}text")]


def test_the_card_does_not_change_when_it_is_written_again(card: tuple[RunFile, Layout, str]) -> None:
    run, layout, text = card
    write_card(layout, run, *measured(run, layout, write_ledger(layout, [])))
    assert (layout.datasets / "README.md").read_text(encoding="utf-8") == text


def test_what_people_write_into_the_card_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, layout, text = done(tmp_path, [])
    path, ledger = layout.datasets / "README.md", write_ledger(layout, [])
    mine = text.replace("is kept -->\n", "is kept -->\n## Mine\n\nMeasured twice.\n")
    path.write_text(mine)
    write_report(run, layout, ledger)
    assert path.read_text() == mine
    path.write_text(mine.replace("# Process supervision data", "# My title"))
    write_report(run, layout, ledger)
    assert path.read_text() == mine
    (aside,) = layout.folder.glob("README.edited-*.md")
    assert "# My title" in aside.read_text()
    assert str(aside) in capsys.readouterr().err


def test_a_card_tells_by_itself_whether_a_bit_was_flipped(tmp_path: Path) -> None:
    _, _, text = done(tmp_path, [])
    content, rng = text.encode(), random.Random(3)
    for bit in rng.sample(range(8 * len(content)), 2000):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        card = read_card(damaged.decode(errors="replace"))
        assert card is None or not card.intact


def test_a_card_names_the_held_out_sets(card: tuple[RunFile, Layout, str]) -> None:
    run, _, text = card
    assert "Decontamination: none was run" in text
    compared = run.model_copy(update={"vet": (Contamination(against=("gsm8k_test.jsonl", "org/exam")),)})
    assert "compared with gsm8k_test, org/exam, and those found" in decontamination(compared)
