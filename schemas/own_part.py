"""A user's own parts: named in a run file by their import path, checked like ours.

``kind = "my_lab.labelers:MyLabeler"`` names a class that is a ``Record`` and implements the contract of its place. Only
code that samples for a run imports it (``IMPORTING``); all other readers of a run folder see an ``OwnPart`` and execute
nothing.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import core_schema
from typing_extensions import get_protocol_members, is_protocol

from stepforge.schemas.record import Record

IMPORTING = {"import_own_parts": True}
"""The validation context in which import paths are followed."""


class OwnPart(Record):
    """A user's own part as stored in a run folder: its settings, not its code."""

    model_config = ConfigDict(extra="allow")

    kind: str

    @property
    def name(self) -> str:
        """Its name in the figures: its setting ``name``, else its class's."""
        given = (self.model_extra or {}).get("name")
        return str(given) if given else self.kind.rpartition(":")[2]


class OrOwn:
    """Lets a union of parts take an import path as its ``kind`` too: ``Annotated[A | B, ..., OrOwn(Contract)]``."""

    def __init__(self, *contracts: type) -> None:
        """A user's own part must implement at least one of these: a protocol, or a class to derive from."""
        self.contracts = contracts

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        ours = handler(source)
        return core_schema.with_info_wrap_validator_function(
            self._validate,
            ours,
            serialization=core_schema.wrap_serializer_function_ser_schema(self._serialize, schema=ours),
        )

    def _validate(
        self, value: Any, ours: core_schema.ValidatorFunctionWrapHandler, context: core_schema.ValidationInfo
    ) -> Any:
        if isinstance(value, Record) and import_path(value):
            return value
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str) or ":" not in kind:
            return ours(value)
        if not (context.context or {}).get("import_own_parts"):
            return OwnPart.model_validate(value)
        part = _imported(kind, self.contracts)
        field = part.model_fields.get("kind")  # one with a default is the class's own short name
        return part.model_validate(value if field and field.is_required() else _without_kind(value))

    @staticmethod
    def _serialize(value: Any, ours: core_schema.SerializerFunctionWrapHandler) -> Any:
        return settings_of_part(value) if import_path(value) else ours(value)


def is_own(part: Record) -> bool:
    """Return whether this is a user's own part that was not imported."""
    return isinstance(part, OwnPart)


def settings_of_part(part: Record) -> dict[str, object]:
    """Return a part's settings as in a run file, whether or not its code is imported."""
    settings = part.model_dump(mode="json")
    path = import_path(part)
    return {"kind": path, **_without_kind(settings)} if path else settings


def import_path(part: Any) -> str | None:
    """Return the ``kind`` that names a user's own part; None for one of ours."""
    if isinstance(part, OwnPart):
        return part.kind
    module = type(part).__module__
    return None if module.split(".")[0] == "stepforge" else f"{module}:{type(part).__qualname__}"


def _without_kind(settings: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if name != "kind"}


def _imported(path: str, contracts: tuple[type, ...]) -> type[Record]:
    module, _, name = path.partition(":")
    try:
        imported = import_module(module)
    except Exception as error:
        raise ValueError(
            f"{path} cannot be imported ({type(error).__name__}: {error}); install it, or name its folder in PYTHONPATH"
        ) from None
    if not hasattr(imported, name):
        raise ValueError(f"{path}: there is no {name} in {imported.__file__ or module}")
    found = getattr(imported, name)
    if not (isinstance(found, type) and issubclass(found, Record)):
        raise ValueError(f"{path} is not a part: a part is a class derived from stepforge.Record")
    faults = [contract_fault(found, contract) for contract in contracts]
    if faults and all(faults):
        raise ValueError(f"{path} {faults[0]}")
    return found


def contract_fault(part: type[Record], contract: type) -> str | None:
    """Say what a class lacks to fulfill a contract: a protocol, or a class of ours to derive from."""
    if not is_protocol(contract):
        return None if issubclass(part, contract) else f"is not derived from stepforge.{contract.__name__}"
    for name in sorted(get_protocol_members(contract)):
        theirs = next((vars(c)[name] for c in part.__mro__ if name in vars(c)), None) or part.model_fields.get(name)
        if theirs is None:
            given = "; give it one with a default, its name in the report" if name == "kind" else ""
            return f"has no {name}, which {contract.__name__} asks for{given}"
        asked = inspect.getattr_static(contract, name)
        if inspect.isfunction(asked) and not _takes(theirs, asked):
            return f"does not take {name}{inspect.signature(asked)}, as {contract.__name__} asks"
        if inspect.iscoroutinefunction(asked) and not inspect.iscoroutinefunction(theirs):
            return f"has a {name} that is not async, as {contract.__name__} asks"
    return None


def _takes(theirs: Any, asked: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(asked).parameters.values())
    named = {p.name: None for p in parameters if p.kind is p.KEYWORD_ONLY}
    try:
        inspect.signature(theirs).bind(*(None for p in parameters if p.name not in named), **named)
    except (TypeError, ValueError):
        return False
    return True
