"""What a session gave over time, in at most ``BINS`` stretches of one length, however long it takes.

A shard's tokens and engine seconds are spread evenly over the time that it took, since shards overlap and only their
ends are seen.
"""

from itertools import zip_longest

from stepforge.schemas.record import Record

BINS = 120
FIRST_SECONDS = 1.0


class TimelineFigures(Record):
    """Amounts in each stretch of a session, from its start on."""

    seconds: float
    """Length of a stretch."""
    generated_tokens: tuple[float, ...]
    """Without completions that were replayed."""
    engine_seconds: tuple[float, ...]


class Timeline:
    """Adds up what was done when; stretches become twice as long where there are too many."""

    def __init__(self) -> None:
        self._seconds = FIRST_SECONDS
        self._tokens: list[float] = []
        self._engine: list[float] = []

    def add(self, begins: float, ends: float, tokens: float, engine_seconds: float) -> None:
        """Take in a shard that was worked on from one moment of the session to another."""
        begins, ends = max(0.0, begins), max(ends, begins + 1e-3, 1e-3)
        while ends > self._seconds * BINS:
            self._seconds *= 2
            self._tokens, self._engine = _paired(self._tokens), _paired(self._engine)
        missing = int(ends / self._seconds) + 1 - len(self._tokens)
        self._tokens += [0.0] * missing
        self._engine += [0.0] * missing
        for i in range(int(begins / self._seconds), int(ends / self._seconds) + 1):
            part = min(ends, (i + 1) * self._seconds) - max(begins, i * self._seconds)
            self._tokens[i] += tokens * part / (ends - begins)
            self._engine[i] += engine_seconds * part / (ends - begins)

    def figures(self) -> TimelineFigures:
        tokens, engine = (tuple(round(x, 3) for x in amounts) for amounts in (self._tokens, self._engine))
        return TimelineFigures(seconds=self._seconds, generated_tokens=tokens, engine_seconds=engine)


def _paired(amounts: list[float]) -> list[float]:
    return [a + b for a, b in zip_longest(amounts[::2], amounts[1::2], fillvalue=0.0)]
