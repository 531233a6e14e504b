"""What people say of single steps, as it is recorded: who, when, what was shown, how long it took."""

from typing import Literal

from pydantic import Field

from stepforge.schemas.record import Record

Finding = Literal["right", "wrong", "repaired", "redundant", "unclear", "reference_wrong", "withdrawn"]
"""``repaired``: wrong, and made good later; ``redundant``: right, and of no use; ``withdrawn`` takes back what the
reviewer said of the step before."""
Origin = Literal["review", "label_studio", "argilla", "prm800k", "usage"]


class StepFinding(Record):
    """One reviewer's finding on one step."""

    problem_id: str
    solution_id: str
    step: int | None
    """0-based; None: on the whole solution, or with ``reference_wrong`` on the problem's reference answer."""
    finding: Finding
    note: str = Field(default="", max_length=4000)
    reviewer: str = Field(min_length=1, max_length=200)
    adjudicates: bool = False
    """Whether it settles what reviewers disagree on."""
    at: str
    """When, ISO 8601 with time zone."""
    seconds: float | None = Field(default=None, ge=0)
    """From when the step was shown to the answer, where that is known."""
    shown: tuple[str, ...] = ()
    """What stood beside the step: ``reference``, ``labels``, ``condensed`` (a model's text)."""
    text_digest: str = ""
    """Of the solution's text up to and with the step: a finding never counts for other words."""
    origin: Origin = "review"
    consent: str = ""
    """For ``usage``: on what terms the user agreed."""
    license: str = ""
    """License of the finding, where it comes from elsewhere."""

    @property
    def weak(self) -> bool:
        """Whether it is a trace of use, and not a judgment that somebody was asked for."""
        return self.origin == "usage"
