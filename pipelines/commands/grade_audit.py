"""Comparing our verdicts with those of another grader or of people, by kind of answer."""

from collections import Counter, defaultdict

from stepforge.grading.verdict import subject
from stepforge.schemas.errors import BadInput
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Outcome

EXAMPLES = 3
"""Rows shown of each kind."""
_SAID: dict[str, Outcome] = {
    **dict.fromkeys(("true", "1", "1.0", "correct", "right", "yes", "pass", "passed"), "correct"),
    **dict.fromkeys(("false", "0", "0.0", "wrong", "incorrect", "no", "fail", "failed"), "wrong"),
    **dict.fromkeys(("", "none", "null", "undetermined", "unknown"), "undetermined"),
}


class DisputedRow(Record):
    row: str
    reference: str | None
    extracted: str | None


class Disagreement(Record):
    """Rows of one kind with the same difference in verdicts."""

    ours: Outcome
    theirs: Outcome
    kind: str
    rows: int
    examples: tuple[DisputedRow, ...]


class Audit(Record):
    column: str
    agree: int
    disagree: int
    we_leave_open: int
    """Rows that only we call undetermined."""
    they_leave_open: int
    disagreements: tuple[Disagreement, ...]
    """Most frequent first; includes rows that we leave undetermined."""

    def __str__(self) -> str:
        lines = [
            f"against {self.column!r}: {self.agree} agree, {self.disagree} disagree, "
            f"{self.we_leave_open} left open by us, {self.they_leave_open} by them"
        ]
        for found in self.disagreements:
            lines.append(f"  {found.rows} x we say {found.ours}, they say {found.theirs}: {found.kind}")
            lines += [
                f"      {e.row}: reference {_short(e.reference)}, answer {_short(e.extracted)}" for e in found.examples
            ]
        return "\n".join(lines)


class Auditor:
    def __init__(self, column: str) -> None:
        self.column = column
        self._counts: Counter[tuple[Outcome, Outcome, str]] = Counter()
        self._examples: dict[tuple[Outcome, Outcome, str], list[DisputedRow]] = defaultdict(list)
        self._agree = 0

    def theirs(self, row: dict[str, object], place: str) -> Outcome:
        if self.column not in row:
            raise BadInput(f"{place}: no column {self.column!r}; name the column of the other verdicts with --audit")
        said = _SAID.get(str(row[self.column]).strip().casefold())
        if said is None:
            raise BadInput(
                f"{place}: column {self.column!r} is {str(row[self.column])[:40]!r}; give true or false, 1 or 0, "
                "correct or wrong, or nothing"
            )
        return said

    def add(self, place: str, ours: Outcome, theirs: Outcome, reference: str | None, extracted: str | None) -> None:
        if ours == theirs:
            self._agree += 1
            return
        key = (ours, theirs, subject(reference, extracted))
        self._counts[key] += 1
        if self._counts[key] <= EXAMPLES:
            self._examples[key].append(DisputedRow(row=place, reference=reference, extracted=extracted))

    def result(self) -> Audit:
        found = tuple(
            Disagreement(ours=key[0], theirs=key[1], kind=key[2], rows=rows, examples=tuple(self._examples[key]))
            for key, rows in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        )
        we_leave_open = sum(f.rows for f in found if f.ours == "undetermined")
        they_leave_open = sum(f.rows for f in found if f.theirs == "undetermined")
        return Audit(
            column=self.column,
            agree=self._agree,
            disagree=sum(f.rows for f in found) - we_leave_open - they_leave_open,
            we_leave_open=we_leave_open,
            they_leave_open=they_leave_open,
            disagreements=found,
        )


def _short(text: str | None) -> str:
    return "none" if text is None else repr(text if len(text) <= 60 else text[:57] + "...")
