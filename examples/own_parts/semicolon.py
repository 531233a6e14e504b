"""A segmenter: cuts after every semicolon, and after line breaks."""

import re
from collections.abc import Iterable
from typing import Literal

from stepforge.generators.segmenters import Segmenter


class Semicolon(Segmenter):
    kind: Literal["semicolon"] = "semicolon"

    def cuts(self, text: str) -> Iterable[int]:
        return (match.end() for match in re.finditer(r";\s*|\n", text))
