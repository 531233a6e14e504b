"""Everything wrong with a run file, in one line: each setting's path, what is wrong, what to do."""

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.record import Record

OTHER_NAMES = {
    "base_url": "address",
    "url": "address",
    "api_key": "api_key_variable",
    "max_new_tokens": "max_tokens",
    "model_name": "model",
    "num_problems": "problems",
    "num_samples": "solutions",
    "name_or_path": "model",
    "num_completions": "k",
    "file": "path",
    "dataset": "hub",
    "prefix_caching": "enable_prefix_caching",
}
"""Names of our settings in other tools, and one of vLLM's that had another name here."""


def faults(error: ValidationError, settings: Mapping[str, object], record: type[Record] = RunFile) -> str:
    found = error.errors(include_url=False)
    inside = {one["loc"][:n] for one in found for n in range(len(one["loc"]))}
    own = [one for one in found if not (one["type"] == "too_short" and one["loc"] in inside)]
    return "; ".join(dict.fromkeys(_fault(one, settings, record) for one in own))


def _fault(found: ErrorDetails, settings: Mapping[str, object], root: type[Record]) -> str:
    path, record = _place(found["loc"], settings, root)
    where = ".".join(map(str, path))
    if found["type"] == "extra_forbidden":
        return f"{where}: unknown setting{_suggestion(str(path[-1]), record)}"
    if found["type"] == "missing":
        return f"{where}: missing"
    if found["type"] == "tuple_type" and isinstance(found["input"], dict) and path:
        return f"{where}: one table where a list of them belongs; write [[{where}]], not [{where}]"
    if found["type"].startswith("union_tag"):
        return f"{where}: {_kinds(found)}"
    if found["type"] == "model_attributes_type" and isinstance(found["input"], str):
        return f'{where}: a table belongs here, such as {{ kind = "{found["input"][:80]}" }}'
    if found["type"] in ("model_type", "dict_type") and path:
        return f"{where}: a table belongs here, not {str(found['input'])[:80]!r}"
    message = str(found["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    given = "" if isinstance(found["input"], dict | list | tuple) else f", not {str(found['input'])[:80]!r}"
    return f"{where + ': ' if where else ''}{message}{given}"


def kind_fault(error: ValidationError) -> str:
    """Describe the fault of a kind that was given alone, outside a run file."""
    return _kinds(error.errors(include_url=False)[0])


def _kinds(found: ErrorDetails) -> str:
    context = found.get("ctx", {})
    if found["type"] == "union_tag_not_found":
        return "has no kind; `stepforge settings` lists the kinds"
    kinds = [kind.strip(" '") for kind in str(context.get("expected_tags", "")).split(",")]
    near = get_close_matches(str(context.get("tag")), kinds, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the kinds are {', '.join(kinds)}"
    if "." in str(context.get("tag")):
        hint = "a part of your own is named by its import path, MODULE:CLASS"
    return f"no kind {context.get('tag')!r}; {hint}"


def _place(location: tuple[Any, ...], settings: Any, root: type[Record]) -> tuple[list[Any], type[Record] | None]:
    """Return a fault's path as in the run file, without the tags of unions, and the record that contains it."""
    path: list[Any] = []
    value, records = settings, [root]
    here: type[Record] | None = root
    tagged = False
    for number, key in enumerate(location):
        last = number == len(location) - 1
        if isinstance(value, dict) and not last and (key not in value or (key == value.get("kind") and not tagged)):
            tagged = True
            continue  # the tag of a union: the part's kind, which may also be the name of a setting
        tagged = False
        here = _of_kind(records, value)
        path.append(key)
        value = value.get(key) if isinstance(value, dict) else _item(value, key)
        if not isinstance(key, int):
            field = here.model_fields.get(key) if here else None
            records = list(records_in(field.annotation)) if field else []
    return path, here


def _item(value: Any, key: Any) -> Any:
    return value[key] if isinstance(value, list | tuple) and isinstance(key, int) and key < len(value) else None


def _of_kind(records: list[type[Record]], value: Any) -> type[Record] | None:
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and ":" in kind:
        module, _, name = kind.partition(":")
        own = getattr(sys.modules.get(module), name, None)
        return own if isinstance(own, type) and issubclass(own, Record) else None
    fitting = [r for r in records if "kind" in r.model_fields and r.model_fields["kind"].default == kind]
    return next(iter(fitting or records), None)


def records_in(annotation: Any) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for argument in get_args(annotation):
        yield from records_in(argument)


def _suggestion(name: str, record: type[Record] | None) -> str:
    known = list(record.model_fields) if record else []
    if OTHER_NAMES.get(name) in known:
        return f"; here it is called {OTHER_NAMES[name]}"
    passed_on = f"vllm = {{ {OTHER_NAMES.get(name, name)} = ... }}"
    near = get_close_matches(name.lower(), known, n=1) + [passed_on] * ("vllm" in known)
    return f", did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(known)}" if known else ""
