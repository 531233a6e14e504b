"""The one way to print. Text from models, servers and other people's files may contain escape sequences; they are made
visible.

An escape sequence can rewrite the text above it, or the window's title; a direction mark shows text in another order
than the one in which it is read.
"""

import json
import re
import sys
import traceback
from types import TracebackType

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Controls, direction and invisible marks, line separators, tags and lone surrogates. Tab, line feed, and the joiners
that several scripts and emoji need, stay."""


def visible(text: str) -> str:
    """Return a text with such characters escaped as in JSON, so JSON stays the same JSON."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text.replace("\r\n", "\n")).replace("\x7f", "\\u007f")


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or lines, to standard output or standard error."""
    stream = sys.stderr if err else sys.stdout
    stream.write(visible(text) + "\n")
    stream.flush()


def say_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an uncaught error, as ``sys.excepthook``."""
    say("".join(traceback.format_exception(kind, error, trace)).rstrip(), err=True)
