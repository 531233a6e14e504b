"""Messages between processes: a length, then JSON. Plain values survive the trip; no class is ever rebuilt.

Only data comes from the other side, so an object with a clever ``__eq__`` never arrives.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

LIMIT = 4_000_000
"""Longest message, in bytes."""
MOST_ITEMS = 100_000
"""Most values taken from an iterator."""
LENGTH = struct.Struct("!I")
"""Of a message, in front of it."""
_SAFE = 1 << 62
_GROUPS: dict[str, Callable[[list[Any]], Any]] = {"t": tuple, "s": set, "z": frozenset, "i": iter}
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "n": lambda body: int(body, 16),
    "f": float,
    "b": bytes.fromhex,
    "c": lambda body: complex(*body),
    "d": lambda body: {_unpacked(key): _unpacked(item) for key, item in body},
}
"""How the value of each mark is made again; those of ``_GROUPS`` from their items."""


class Gone(BaseException):
    """The other side has closed; not an ``Exception``, because outside code catches those."""


class NotPlain(BaseException):
    """A value that is not made of numbers, texts, lists, tuples, sets and dictionaries."""


def send(file: int, message: Any) -> None:
    """Write a message. Raises Gone: nobody reads; NotPlain: it is too long."""
    body = json.dumps(message).encode()
    if len(body) > LIMIT:
        raise NotPlain(f"a message of over {LIMIT} bytes")
    frame = memoryview(LENGTH.pack(len(body)) + body)
    try:
        while frame:
            frame = frame[os.write(file, frame) :]
    except (BrokenPipeError, ConnectionResetError):
        raise Gone from None


def receive(file: int) -> Any:
    """Read a message. Raises Gone: there is none any more; NotPlain: it is too long, or not JSON."""
    (length,) = LENGTH.unpack(_exactly(file, LENGTH.size))
    if length > LIMIT:
        raise NotPlain("a message that is too long")
    try:
        return json.loads(_exactly(file, length))
    except (ValueError, RecursionError):
        raise NotPlain("a message that is not JSON") from None


def _exactly(file: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        try:
            part = os.read(file, min(length - len(parts), 1 << 16))
        except ConnectionResetError:
            raise Gone from None
        if not part:
            raise Gone
        parts += part
    return bytes(parts)


def packed(value: Any) -> Any:
    """Return a plain value as JSON that ``unpacked`` turns back.

    An iterator becomes its values. A value of a class that is derived from a plain one becomes the plain one.

    Raises:
        NotPlain: there is no such form.
    """
    try:
        return _packed(value)
    except RecursionError:
        raise NotPlain("a value that holds itself, or is nested too deep") from None


def _packed(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if isinstance(value, int):
        return int(value) if -_SAFE < value < _SAFE else {"n": hex(value)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return {"f": float.__repr__(value)}
    if isinstance(value, list):
        return [_packed(item) for item in list.__iter__(value)]
    if isinstance(value, dict):
        return {"d": [[_packed(key), _packed(item)] for key, item in dict.items(value)]}
    if isinstance(value, bytes | bytearray):
        return {"b": bytes(value).hex()}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    for mark, plain in (("t", tuple), ("s", set), ("z", frozenset)):
        if isinstance(value, plain):
            return {mark: [_packed(item) for item in value]}
    if isinstance(value, range | Iterator) or kind.__name__ in ("dict_keys", "dict_values", "dict_items"):
        return {"i": [_packed(item) for item, _ in zip(value, range(MOST_ITEMS), strict=False)]}
    raise NotPlain(f"a value of type {kind.__name__}")


def unpacked(message: Any) -> Any:
    """Return the value of a ``packed`` one. Raises NotPlain: it has another form."""
    try:
        return _unpacked(message)
    except (TypeError, ValueError, KeyError, RecursionError):
        raise NotPlain("a malformed value") from None


def _unpacked(message: Any) -> Any:
    if message is None or isinstance(message, bool | int | str):
        return message
    if isinstance(message, list):
        return [_unpacked(item) for item in message]
    ((mark, body),) = message.items()
    return _GROUPS[mark]([_unpacked(item) for item in body]) if mark in _GROUPS else _PLAIN[mark](body)
