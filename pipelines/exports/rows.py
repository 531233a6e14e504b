"""Export rows: flat records whose first columns are what the consuming library reads."""

from schemas.record import Record


class StepwiseRow(Record):
    """Stepwise supervision as TRL (up to 1.13) and axolotl read it: ``prompt``, ``completions``, boolean ``labels``.

    The values stand in columns of their own: both consumers apply ``int(label)``, which makes 0.99 a 0.
    """

    prompt: str
    completions: tuple[str, ...]
    """Step texts without their trailing line breaks; the consumer puts its own separator between them."""
    labels: tuple[bool, ...]
    values: tuple[float | None, ...]
    """Share of completions from the prefix that end at the right answer; null where not measured."""
    successes: tuple[int | None, ...]
    trials: tuple[int | None, ...]
    low: tuple[float | None, ...]
    """Lower end of the value's 95 % Wilson interval."""
    high: tuple[float | None, ...]
    first_error: int
    """0-based index of the first wrong step, -1 if there is none (ProcessBench's convention)."""
    final_answer_correct: bool
    labeler: str
    domain: str
    difficulty: int | None
    problem_id: str
    solution_id: str


class PairRow(Record):
    """A preference pair with an explicit prompt, as TRL's DPO reads it: ``prompt``, ``chosen``, ``rejected``."""

    prompt: str
    """The question and, for step pairs, the shared prefix."""
    chosen: str
    rejected: str
    kind: str
    """``step`` (the next step only) or ``solution``."""
    margin: float
    """Lower bound of the chosen value less the upper bound of the rejected one (95 % Wilson intervals)."""
    chosen_value: float
    rejected_value: float
    step: int | None
    """0-based index of the step that differs, for step pairs."""
    domain: str
    difficulty: int | None
    problem_id: str
    labeler: str
