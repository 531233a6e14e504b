"""Every setting with its type, default and meaning, read from the records themselves."""

import ast
import inspect
import re
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from textwrap import dedent, shorten
from typing import Any, Literal, NamedTuple, get_args, get_origin

from stepforge.generators.policy_settings import Way
from stepforge.pipelines.settings.faults import records_in
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record

RUN_FILE = "run file"


class Setting(NamedTuple):
    name: str
    type: str
    default: str
    meaning: str


def settings_text(kind: str | None) -> str:
    places = parts()
    if kind is None:
        lists = [f"{place}: {', '.join(kinds)}" for place, kinds in places.items()]
        return "\n".join([_block(RUN_FILE, RunFile), "", "kinds (`stepforge settings KIND` shows one):", *lists])
    found = [(place, kinds[kind]) for place, kinds in places.items() if kind in kinds]
    if not found:
        raise BadInput(f"{kind}: no such kind; {_hint(kind, places)}")
    return "\n\n".join(_block(f"{place}: {kind}", record) for place, record in found)


def _hint(kind: str, places: dict[str, dict[str, type[Record]]]) -> str:
    if taken := [kinds for place, kinds in places.items() if kind in place.split(", ")]:
        return f"{kind} takes the kinds {', '.join(taken[0])}"
    near = get_close_matches(kind, [one for kinds in places.values() for one in kinds], n=1)
    return f"did you mean {near[0]}?" if near else "`stepforge settings` lists them"


def parts() -> dict[str, dict[str, type[Record]]]:
    """Return the parts of the run file: place -> kind -> record; places that take the same parts are one."""
    names: dict[tuple[type[Record], ...], list[str]] = {}
    for name, field in RunFile.model_fields.items():
        names.setdefault(tuple(dict.fromkeys(records_in(field.annotation))), []).append(name)
    places = {
        ", ".join(alike): {_kind(record) or alike[0]: record for record in records}
        for records, alike in names.items()
        if records
    }
    places["policy.ways"] = {"policy.ways": Way}
    places["policy.segmenter"] = {
        str(_kind(r)): r for r in records_in(places["policy"]["policy"].model_fields["segmenter"].annotation)
    }
    return places


def settings_of(record: type[Record]) -> list[Setting]:
    """Return a record's fields in order, including inherited ones."""
    meanings = {name: text for cls in reversed(record.__mro__) for name, text in _meanings(cls).items()}
    return [
        Setting(name, type_name(field.annotation), _default(field, _kind(record)), meanings.get(name, ""))
        for name, field in record.model_fields.items()
    ]


def _block(title: str, record: type[Record]) -> str:
    lines = [title, summary(record)]
    for setting in settings_of(record):
        default = f" = {setting.default}" if setting.default else "  (required)"
        lines.append(f"  {setting.name}: {setting.type}{default}")
        lines += [f"      {setting.meaning}"] if setting.meaning else []
    return "\n".join(lines)


def summary(record: type[Record]) -> str:
    return " ".join((record.__doc__ or "").split("\n\n")[0].replace("``", "`").split())


def _kind(record: type[Record]) -> str | None:
    field = record.model_fields.get("kind")
    return field.default if field and isinstance(field.default, str) else None


@cache
def _meanings(cls: type) -> dict[str, str]:
    if not (isinstance(cls, type) and issubclass(cls, Record) and cls.__module__.startswith("stepforge.")):
        return {}
    (body,) = ast.parse(dedent(inspect.getsource(cls))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.replace("``", "`").split())
        for field, text in pairwise(statements)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _default(field: Any, kind: str | None) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True, validated_data={"kind": kind})
    if isinstance(value, Record):
        kind = _kind(type(value))
        return f'{{ kind = "{kind}" }}' if kind else "its own defaults"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    text = str(list(value)) if isinstance(value, tuple) else repr(value)
    return shorten(text.replace("'", '"'), 60, placeholder=" ...")


def type_name(annotation: Any) -> str:
    """Return a type's name in TOML terms."""
    if annotation is type(None):
        return "none"
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return "part" if _kind(annotation) else "table"
    if get_origin(annotation) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(annotation))
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    origin = get_origin(annotation)
    if origin in (tuple, list):
        return f"list of {type_name(arguments[0])}" if arguments else "list"
    if origin is dict:
        return f"table of {type_name(arguments[1])}"
    if hasattr(annotation, "__metadata__"):
        return type_name(arguments[0])
    if arguments:
        names = list(dict.fromkeys(type_name(argument) for argument in arguments))
        return " or ".join(names)
    plain = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return plain.get(annotation, re.sub(r".*\.", "", getattr(annotation, "__name__", str(annotation))))
