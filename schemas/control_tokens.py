"""Control tokens of language models written in a text: a tokenizer would read them as the end of a turn."""

import re

_USUAL = re.compile(
    r"<\|[^\s<>|]{1,40}\|>|<\uff5c[^\s<>\uff5c]{1,40}\uff5c>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)
"""Those of common models, for servers that do not report their own."""


class SpecialToken(ValueError):
    """A text contains something that the model reads as a control token."""


def check_plain(text: str, known: frozenset[str]) -> None:
    """Reject an outside text that would end a turn, or begin one.

    Raises:
        SpecialToken: it contains one of the ``known`` control tokens, or what looks like one if none is known.
    """
    found = min((token for token in known if token in text), default=None)
    if found is None and not known and (usual := _USUAL.search(text)):
        found = usual[0]
    if found is not None:
        raise SpecialToken(f"holds {found!r}, which the model reads as a control token; reword or remove it")
