"""A problem, and for procedural ones the truth of every intermediate quantity."""

from typing import Literal

from stepforge.schemas.record import Record
from stepforge.schemas.verifier import AnyVerifier

AnswerKind = Literal["integer", "rational", "expression", "math", "choice", "text", "plan"]
"""How an answer is compared: the first three exactly, ``math`` by Math-Verify, a ``plan`` by simulating it, the others
as text."""


Reading = Literal["lines", "sentences", "equations", "calls", "deductions", "moves"]
"""How solutions are judged. By the quantities that they state: a claim a line (``grading.statement``), sentences whose
numbers all come from the quantity that they speak about, any text, of which only equations count, or a claim a line
that may call a calculator. By what their lines do: deduce a formula from others, or make a move of a puzzle."""


class Quantity(Record):
    """One named quantity of a procedural problem."""

    name: str
    expression: str
    """Its derivation from earlier ones, as written in a reference solution; empty for a given number."""
    value: str
    """Canonical exact text (``grading.exact``)."""
    needed: bool = True
    """False for a distractor: true, but not needed for the answer."""

    @property
    def statement(self) -> str:
        """The line that states it in a reference solution, without a line break."""
        parts = [self.name, self.expression, self.value] if self.expression else [self.name, self.value]
        return " = ".join(parts)


class Truth(Record):
    """The oracle of a procedural problem: its quantities in an order in which each can be derived."""

    quantities: tuple[Quantity, ...]
    reading: Reading = "lines"
    calls: int | None = None
    """How often a solution may call a tool; None if the problem sets no limit."""


class KeptColumn(Record):
    """A column of a problem set that is kept with its problem."""

    name: str
    value: str
    """As text; values that are not text, as JSON."""


class Lineage(Record):
    """How a model made a problem, and why its answer or solution is trusted."""

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
    """A question, with a reference answer if known."""

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
    verifier: AnyVerifier | None = None
    """Decides the outcome if the answer is not a value: tests, a program, a user's own rule."""
    known_solution: str | None = None
    """The text of a right solution, if one came with the problem."""
    lineage: Lineage | None = None
    """Of a problem that a model wrote, or solved knowing the answer."""

    @property
    def reference_solution(self) -> str | None:
        """A right solution: the supplied one, or the needed quantities, one per line, and the answer."""
        if self.known_solution is not None:
            return self.known_solution
        if self.truth is None or self.answer is None:
            return None
        lines = [q.statement for q in self.truth.quantities if q.needed]
        return "\n".join([*lines, f"Answer: {self.answer}"])
