"""Template sets: drawn exactly, read without evaluating Python, bad files refused in one line."""

from fractions import Fraction
from pathlib import Path

import pytest
from run_files import a_run

from stepforge.generators.families.templates import Templates
from stepforge.generators.templates.expressions import TemplateError, evaluated
from stepforge.generators.templates.functions import decimal_text
from stepforge.grading.exact import evaluate
from stepforge.labelers.oracle import judge
from stepforge.pipelines.publishing.finished_run import source_licenses
from stepforge.pipelines.reports.card.front_matter import licenses_of
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Step

FOLDER = Path(__file__).parents[1] / "fixtures" / "templates"
HALF = Fraction(1, 2)
IMPOSSIBLE = 'question_annotated = "x\\n#conditions:\\n- 1 > 2\\n#answer: 1"\nanswer_annotated = "#### 1"'


def problems(count: int = 40) -> list[Problem]:
    part = Templates(path=str(FOLDER))
    return [part.item(5, i) for i in range(count)]


def test_every_value_is_exact_and_the_answer_follows() -> None:
    drawn = problems()
    assert Templates(path=str(FOLDER)).item(5, 33) == drawn[33]
    assert {p.group for p in drawn} == {p.group for p in drawn[:12]}
    assert len({p.group for p in drawn}) == 2
    assert len({p.question for p in drawn}) > 25
    for problem in drawn:
        assert "{" not in problem.question and "#" not in problem.question
        assert problem.truth is not None
        assert problem.truth.reading == "equations"
        assert len(problem.truth.quantities) == 3
        for quantity in problem.truth.quantities:
            assert evaluate(quantity.expression) == evaluate(quantity.value)
        assert problem.truth.quantities[-1].value == problem.answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3 ** 2 // 2", 13),
        ("7 % 4 - -1", 4),
        ("n / 4", HALF),
        ("share * 3", Fraction(3, 2)),
        (".5 + 0.25", Fraction(3, 4)),
        ("3 if n > 1 and not n >= 3 else 4", 3),
        ("1 < n <= 2", 1),
        ('day == "Monday" or n == 5', 1),
        ("pair[1] + [1, 2, 3][0]", 9),
        ("int(7 / 2) + round(2.25, 1)", Fraction(26, 5)),
        ("is_int(n / 2) + divides(6, 3)", 2),
    ],
)
def test_expressions_are_exact(text: str, value: Fraction) -> None:
    from random import Random

    from stepforge.generators.templates.functions import template_functions

    names = {"n": Fraction(2), "share": "1/2", "day": "Monday", "pair": ("a", Fraction(8))}
    assert evaluated(text, names, template_functions(Random(0))) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "n.real",
        "lambda: 1",
        "1 +",
        "(1",
        "1 / 0",
        "2 ** 99",
        "9 ** 20 ** 20",
        "(" * 400 + "1" + ")" * 400,
        "1 + " * 400 + "1",
        "missing",
        "'a' * 3",
        "[1, 2][2]",
        "-" * 900,
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        evaluated(text, {"n": Fraction(1)}, {})


@pytest.mark.parametrize(("value", "text"), [(HALF, "0.5"), (Fraction(-5, 4), "-1.25"), (Fraction(1, 3), "1/3")])
def test_numbers_are_shown_as_decimals_where_they_end(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", "question_annotated = 3", "missing"),
        ("a.toml", "not toml", "a.toml"),
        ("a.toml", 'question_annotated = "x"\nanswer_annotated = "#### 1"', "no #answer"),
        ("a.toml", 'question_annotated = "x\\n#answer: 2"\nanswer_annotated = "#### 1"', "the answer is '2'"),
        ("a.toml", IMPOSSIBLE, "no draw"),
        ("a.toml", "x = " + "[" * 5000 + "]" * 5000, "recursion"),
        ("b.txt", "", "holds no template"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=told):
        Templates(path=str(tmp_path)).item(0, 0)
    with pytest.raises(BadInput, match="is not a folder"):
        Templates(path=str(tmp_path / "absent")).item(0, 0)


def test_a_models_steps_are_judged_by_their_equations() -> None:
    problem = next(p for p in problems() if "pens" in p.question)
    assert problem.truth is not None
    first, second, last = problem.truth.quantities
    total, gone, left = first.value, second.value, last.value

    def classes(*lines: str) -> tuple[str, ...]:
        return judge(problem, tuple(Step(text=f"{line}\n") for line in lines))

    right = (
        f"In all there are {first.expression} = {total} pens.",
        "Some are given away.",
        f"{total} - {gone} = {left}",
    )
    assert classes(*right, f"The answer is {left}.") == ("right", "unknown", "right", "right")
    assert classes(f"{total} - {gone} = {int(left) + 1}") == ("wrong",)
    assert classes("So 917 * 31 = 28427.") == ("wrong",)
    assert classes(f"The answer is {int(left) + 1}.") == ("wrong",)
    assert classes(f"{total} \\div 3 \\approx {int(total) / 3:.2f}")[0] == "unknown"  # about equal is not judged


def test_a_run_checks_the_set_before_it_starts_and_names_its_license(tmp_path: Path) -> None:
    def run(path: Path, license: str | None = None) -> RunFile:
        return a_run(generate=[{"kind": "templates", "path": str(path), "license": license}])

    preflight(run(FOLDER))
    with pytest.raises(BadInput, match="holds no template"):
        preflight(run(tmp_path))
    assert licenses_of(run(FOLDER)) == ["unknown"]
    assert source_licenses(run(FOLDER, "mit")) == {"templates of templates": "mit"}


@pytest.mark.parametrize("lists", ["[]", "{", '{"names": {"a": 1}}', '{"names": [null]}', '{"a": ' + "[" * 9000])
def test_bad_lists_are_refused_by_name(tmp_path: Path, lists: str) -> None:
    (tmp_path / "a.toml").write_text('question_annotated = "x\\n#answer: 1"\nanswer_annotated = "#### 1"')
    (tmp_path / "replacements.json").write_text(lists)
    with pytest.raises(BadInput, match="it holds lists of names and words by name"):
        Templates(path=str(tmp_path)).item(0, 0)
