"""A problem, and for procedural ones the truth of every intermediate quantity."""

from typing import Literal

from stepforge.schemas.record import Record

AnswerKind = Literal["integer", "rational", "expression", "math", "choice", "text"]
"""How an answer is compared: the first three exactly, ``math`` by Math-Verify, the others as text."""


Reading = Literal["lines", "sentences", "equations"]
"""How solutions state quantities: a claim a line (``schemas.statement``); sentences whose numbers all come from the
quantity that they speak about; or any text, in which only equations are judged."""


class Quantity(Record):
    """One named quantity of a procedural problem."""

    name: str
    expression: str
    """How it is worked out from earlier ones, as a reference solution writes it; empty for a given number."""
    value: str
    """Canonical exact text (``grading.exact``)."""
    needed: bool = True
    """False for a distractor: true, but not on the way to the answer."""

    @property
    def statement(self) -> str:
        """The line that states it in a reference solution, without a line break."""
        parts = [self.name, self.expression, self.value] if self.expression else [self.name, self.value]
        return " = ".join(parts)


class Truth(Record):
    """The oracle of a procedural problem: its quantities in an order in which each can be derived."""

    quantities: tuple[Quantity, ...]
    reading: Reading = "lines"


class KeptColumn(Record):
    """A column of a problem set that is carried along with its problem."""

    name: str
    value: str
    """As text; what is no text in the source, as JSON."""


class Lineage(Record):
    """How a model came by a problem, and why its answer, or its solution, is believed."""

    parents: tuple[str, ...]
    """Ids of the problems that it was made from."""
    way: str
    """What was done to them, such as ``rephrase``."""
    settled_by: str
    """``agreement`` of independent solutions, or that and the ``expected`` answer or a ``formula``."""
    agreement: float
    """Share of the independent solutions that ended at the answer."""
    solutions: int
    """How many there were."""


class Problem(Record):
    """A question with a reference answer where one is known."""

    id: str
    source: str
    """The family or the problem set it comes from."""
    domain: str
    question: str
    answer: str | None
    """The reference answer; None lets the self-consistency filter supply one."""
    answer_kind: AnswerKind
    difficulty: int | None = None
    """The level asked of the family, or the problem set's own level."""
    group: str
    """Template or source group; train and test splits never share one."""
    truth: Truth | None = None
    kept: tuple[KeptColumn, ...] = ()
    lineage: Lineage | None = None
    """Of a problem that a model wrote, or solved knowing the answer."""

    @property
    def reference_solution(self) -> str | None:
        """The needed quantities a line each and the answer, for procedural problems."""
        if self.truth is None or self.answer is None:
            return None
        lines = [q.statement for q in self.truth.quantities if q.needed]
        return "\n".join([*lines, f"Answer: {self.answer}"])
