"""A problem of a held-out set is found as it is, in part, with other numbers, and in other words."""

import json
from pathlib import Path

import pytest
from fakes import a_problem, a_solution, solved

from stepforge.filters import Contamination, Corpus, Dropped
from stepforge.filters.held_out import HeldOutIndex, tokens_of
from stepforge.pipelines.inputs.held_out import held_out_hits, held_out_index
from stepforge.pipelines.settings.run_settings import parse_settings
from stepforge.schemas.errors import BadInput

BUS = (
    "Janet takes two bus trips five days a week. If each bus trip costs her $2.20, how much would she save by buying "
    "a weekly bus pass for $20?"
)
POWER = "For what value of $x$ is $2^3\\cdot3^x=72$?"


INDEX = HeldOutIndex([("bus", [BUS]), ("math", [POWER, "Solve $x + 1 = 2$ for $x$ over the reals, please."])])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (BUS.upper() + "\n", "verbatim in bus"),
        (BUS.replace("$2.20", "$ 2.2").replace("two", "2"), "verbatim in bus"),
        (POWER.replace("\\cdot", " \\cdot "), "verbatim in math"),
        (POWER.replace("72", "54"), "renumbered in math"),
        ("As follows. " + BUS[:120] + " what is left of 30 dollars?", "shared passage in bus"),
        (
            "A weekly pass for the bus is $20. Zora rides the bus 2 times on 5 days a week and each trip costs $2.20. "
            "How much would she save with it?",
            "reworded in bus",
        ),
        ("Zora has 5 dogs and 2 cats. How many pets has she got, and how many more dogs than cats?", None),
        ("For what value of $y$ is $5y - 3 = 12$?", None),
        ("", None),
    ],
)
def test_how_a_copy_is_told(question: str, expected: str | None) -> None:
    assert INDEX.find(question) == expected


def test_signs_count_and_layout_does_not() -> None:
    assert tokens_of("$\\left(x+1\\right)$, twenty 1,000.50") == ["(", "x", "+", "1", ")", "20", "1000.5"]
    assert tokens_of("x+1") != tokens_of("x-1")


def test_a_passage_of_many_held_out_questions_is_an_instruction() -> None:
    rule = "Express your answer as a common fraction in lowest terms with a positive whole denominator please."
    questions = [f"{word} of the marbles in the {word} jar are red now. {rule}" for word in ("Half", "Most", "None")]
    index = HeldOutIndex([("jars", questions)])
    assert index.find(f"What is one third of one quarter? {rule}") is None


def test_only_the_ways_asked_for_count() -> None:
    index = HeldOutIndex([("math", [POWER])], ("verbatim",))
    assert index.find(POWER) is not None
    assert index.find(POWER.replace("72", "54")) is None


def test_the_row_is_dropped_and_counted_by_set(tmp_path: Path) -> None:
    file = tmp_path / "bus_test.jsonl"
    file.write_text(json.dumps({"problem": BUS}) + "\n")
    part = Contamination.model_validate({"against": [str(file)]})
    rows = [
        solved(a_solution("s", "a", "correct"), problem=a_problem(name).model_copy(update={"question": question}))
        for name, question in (("hit", BUS), ("other", "What is 1 + 1?"))
    ]
    corpus = Corpus(held_out=held_out_hits([part], [row.problem for row in rows]))
    assert part(rows[0], corpus) == Dropped(reason="verbatim in bus_test")
    assert part(rows[1], corpus) == rows[1]


def test_a_text_is_a_path_or_a_hub_name(tmp_path: Path) -> None:
    part = Contamination.model_validate({"against": ["openai/gsm8k", "data/test.csv.gz", {"path": "x.json"}]})
    assert [(one.path, one.hub) for one in part.against] == [
        (None, "openai/gsm8k"),
        ("data/test.csv.gz", None),
        ("x.json", None),
    ]
    (tmp_path / "held").mkdir()
    settings = {
        "engine": {"kind": "scripted"},
        "generate": [{"kind": "sequence"}],
        "label": [{"kind": "oracle"}],
        "vet": [{"kind": "contamination", "against": ["held"]}],
    }
    (found,) = parse_settings(settings, "here", tmp_path).vet
    assert isinstance(found, Contamination)
    assert found.against[0].path == str(tmp_path / "held")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "x"}], "no column 'question' for question"),
        ([{"question": "What is 1?"}, {"question": None}], "row 2: no text in column 'question'"),
        ([], "no question"),
    ],
)
def test_a_held_out_set_that_cannot_be_read_is_one_line(tmp_path: Path, rows: list[object], said: str) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadInput, match=said):
        held_out_index(Contamination.model_validate({"against": [str(file)]}))
    with pytest.raises(BadInput, match="no such file"):
        held_out_index(Contamination.model_validate({"against": [str(tmp_path / "absent.jsonl")]}))
