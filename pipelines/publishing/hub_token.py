"""The Hub token: read from the environment, held only by the publisher, and never shown.

It is passed as a ``SecretStr``, whose text is read in one place (``hub.py``). Everything printed or logged while
publishing goes through ``redacted`` first, because libraries and servers may quote what they were sent.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from pydantic import SecretStr

from stepforge.schemas.errors import BadInput

SHAPES = re.compile(r"\bhf_[A-Za-z0-9]{20,}|\b(?i:bearer)\s+[^\s'\",]+|(?<=\?)[^\s'\"?]*=[^\s'\"]*")
"""Anything that looks like a token, and URL queries, which sign uploads."""
LOGGERS = ("", "huggingface_hub", "httpx2", "httpcore2", "httpx", "httpcore", "datasets")
SHOWN = "***"


def find_token() -> SecretStr | None:
    """Return the token of the environment (``HF_TOKEN``), or else of the file that ``hf auth login`` writes.

    Raises BadInput: it cannot be one; the line does not quote it.
    """
    token = get_token()
    if not token:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", token):  # an HTTP library would quote it in its complaint
        raise BadInput("HF_TOKEN contains blanks or characters that are not valid in a token; set it again")
    return SecretStr(token)


def redacted(text: str, token: SecretStr | None) -> str:
    """Return a text without the token or anything like it, control characters escaped."""
    if token is not None:
        text = text.replace(token.get_secret_value(), SHOWN)
    text = SHAPES.sub(SHOWN, text)
    return "".join(c if c in "\n\t" or unicodedata.category(c)[0] != "C" else f"\\x{ord(c):02x}" for c in text)


@contextmanager
def redacted_logs(token: SecretStr) -> Iterator[None]:
    """Redact everything that reaches a log handler of ours or of the HTTP libraries."""

    def redact(record: logging.LogRecord) -> bool:
        """Rewrite a record as the text that it would have become, redacted."""
        record.msg, record.args = redacted(record.getMessage(), token), ()
        if record.exc_info:
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info), token)
            record.exc_info = None
        return True

    handlers = [handler for name in LOGGERS for handler in logging.getLogger(name).handlers]
    handlers += [logging.lastResort] if logging.lastResort else []
    for handler in handlers:
        handler.addFilter(redact)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(redact)
