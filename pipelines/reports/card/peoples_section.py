"""The section of a card that belongs to people: what they write there is kept, here and on the Hub.

The last line of a card holds the SHA-256 of everything outside that section, so the card itself shows whether it was
changed elsewhere.
"""

import hashlib
import re
from typing import NamedTuple

BEGIN = "<!-- stepforge: what you write between this line and the next such line is kept -->\n"
END = "<!-- stepforge: SHA-256 of everything else: {} -->\n"
_END = re.compile(re.escape(END).replace(r"\{\}", "([0-9a-f]{64})").removesuffix("\\\n") + r"\n*\Z")


class Card(NamedTuple):
    rest: str
    """What stepforge wrote, up to the kept section."""
    kept: str
    """What people wrote; empty, or whole lines."""
    intact: bool = True
    """Whether the rest is unchanged."""

    @property
    def text(self) -> str:
        return f"{self.rest}{BEGIN}{self.kept}{END.format(digest_of(self.rest))}"


def read_card(text: str) -> Card | None:
    """Return the parts of a card; None if it has no kept section. Line endings of web forms count as ours."""
    text = text.replace("\r\n", "\n")
    end = _END.search(text)
    rest, begin, kept = text[: end.start()].rpartition(BEGIN) if end else ("", "", "")
    if end is None or not begin:
        return None
    whole = not kept or kept.endswith("\n")
    return Card(rest, kept if whole else f"{kept}\n", whole and end[1] == digest_of(rest))


def digest_of(rest: str) -> str:
    return hashlib.sha256(rest.encode()).hexdigest()
