"""People's findings on single steps: who, when, what was shown, how long it took."""

from typing import Literal

from pydantic import Field

from stepforge.schemas.record import Record

Finding = Literal["right", "wrong", "repaired", "redundant", "unclear", "reference_wrong", "withdrawn"]
"""``repaired``: wrong, and corrected later; ``redundant``: right, but useless; ``withdrawn`` retracts the reviewer's
earlier finding on the step."""
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
    """Time from showing the step to the answer, if known."""
    shown: tuple[str, ...] = ()
    """What was shown with the step: ``reference``, ``labels``, ``condensed`` (a model's text)."""
    text_digest: str = ""
    """Digest of the solution's text up to and including the step: a finding never applies to a different text."""
    origin: Origin = "review"
    consent: str = ""
    """For ``usage``: the terms of the user's consent."""
    license: str = ""
    """License of the finding, if it comes from elsewhere."""

    @property
    def weak(self) -> bool:
        """Whether it is from a usage log, rather than a requested judgment."""
        return self.origin == "usage"
