"""One template in the layout of GSM-Symbolic (arXiv 2410.05229): a question and a worked answer over variables.

``question_annotated`` holds the text with ``{name,example}`` in it, then ``#init:`` lines that draw the variables,
``#conditions:`` that must hold, and ``#answer:``. ``answer_annotated`` is the worked answer; its ``<<a*b=c>>`` are the
quantities of the truth, ``#### c`` the answer.
"""

import re
from collections.abc import Mapping
from random import Random
from typing import NamedTuple

from stepforge.generators.templates.expressions import Function, TemplateError, Value, evaluated, number
from stepforge.generators.templates.functions import decimal_text, template_functions
from stepforge.grading.exact import ExactError, evaluate
from stepforge.schemas.record import Record

MAX_DRAWS = 5000
"""How often variables are drawn again until the conditions hold."""
_FIELD = re.compile(r"\{([^{}]*)\}")
_EXAMPLE = re.compile(r"\{([A-Za-z_]\w*),[^{}]*\}")
_EQUATION = re.compile(r"<<([^<>=]*)=([^<>=]*)>>")
_BARE_POINT = re.compile(r"(?<!\d)\.(?=\d)")
_MONEY = re.compile(r"[$€£%]|(?<=\d),(?=\d{3})")
_PART = re.compile(r"^#(init|conditions|answer):", re.MULTILINE)


class Instance(NamedTuple):
    question: str
    equations: tuple[tuple[str, str], ...]
    """(expression, value) of the worked answer, in order."""
    answer: str


class Template(Record):
    """A template as its file states it."""

    name: str
    question: str
    init: tuple[str, ...]
    conditions: tuple[str, ...]
    answer: str
    worked: str

    def draw(self, rng: Random, lists: Mapping[str, Value]) -> Instance:
        """Return one problem; ``lists`` are the lists of names and words that its lines may use."""
        functions = template_functions(rng)
        for _ in range(MAX_DRAWS):
            names = dict(lists)
            for line in self.init:
                _assign(line, names, evaluated(line.partition("=")[2], names, functions))
            try:
                if all(evaluated(condition, names, functions) for condition in self.conditions):
                    return self._instance(names, functions)
            except _Unfit:
                continue
        raise TemplateError(f"no draw out of {MAX_DRAWS} fulfills its conditions")

    def _instance(self, names: Mapping[str, Value], functions: Mapping[str, Function]) -> Instance:
        def shown(field: re.Match[str]) -> str:
            return _shown(evaluated(field[1], names, functions))

        question = _FIELD.sub(shown, _EXAMPLE.sub(r"{\1}", self.question))
        worked = _FIELD.sub(shown, _EXAMPLE.sub(r"{\1}", self.worked))
        answer = _shown(evaluated(self.answer, names, functions))
        stated = worked.rpartition("####")[2].strip()
        if not _equal(answer, stated):
            raise TemplateError(f"the worked answer ends in {stated[:40]!r}, the answer is {answer[:40]!r}")
        equations = tuple((_exact(left), _exact(right)) for left, right in _EQUATION.findall(worked))
        wrong = next((f"{a}={b}" for a, b in equations if not _equal(a, b)), None)
        if wrong is not None:
            raise _Unfit(f"<<{wrong}>> does not hold")
        return Instance(question.strip(), equations, str(evaluate(answer)))


class _Unfit(TemplateError):
    """A draw whose worked answer only holds when rounded."""


def read_template(name: str, fields: Mapping[str, object]) -> Template:
    question, worked = fields.get("question_annotated"), fields.get("answer_annotated")
    if not isinstance(question, str) or not isinstance(worked, str):
        raise TemplateError("question_annotated or answer_annotated is missing")
    text, *parts = _PART.split(question)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if not found.get("answer", "").strip():
        raise TemplateError("has no #answer:")
    return Template(
        name=name,
        question=text,
        init=_items(found.get("init", "")),
        conditions=_items(found.get("conditions", "")),
        answer=found["answer"].strip(),
        worked=worked,
    )


def _items(part: str) -> tuple[str, ...]:
    lines = (line.strip() for line in part.splitlines())
    return tuple(line.removeprefix("-").strip() for line in lines if line.startswith("-"))


def _assign(line: str, names: dict[str, Value], value: Value) -> None:
    left = [name.strip(" ()$") for name in line.partition("=")[0].split(",")]
    if len(left) == 1:
        names[left[0]] = value
        return
    values = value if isinstance(value, tuple) else (value,)
    if len(values) != len(left):
        values = tuple(item for pair in values for item in (pair if isinstance(pair, tuple) else (pair,)))
    if len(values) != len(left):
        raise TemplateError(f"{line[:60]!r} draws {len(values)} values for {len(left)} names")
    names.update(zip(left, values, strict=True))


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else decimal_text(number(value))


def _exact(text: str) -> str:
    """Return an expression as ``grading.exact`` reads it: ``0.5`` for ``.5``, no signs of money."""
    return _BARE_POINT.sub("0.", _MONEY.sub("", text)).strip()


def _equal(left: str, right: str) -> bool:
    try:
        return evaluate(left) == evaluate(right)
    except ExactError:
        return False
