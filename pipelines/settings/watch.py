"""What a run is stopped for while it goes on: signs that its engine or its policy makes labels worthless."""

from pydantic import Field

from stepforge.schemas.record import Record


class Watch(Record):
    """Limits of the figures that are watched; each can be moved, and the same command then resumes."""

    least_pass_rate: float = Field(default=0.02, ge=0, le=1)
    """Of the policy's own solutions; below it, step 1 of everything looks wrong. 0 never stops."""
    most_without_answer: float = Field(default=0.5, ge=0, le=1)
    """Share of the wrong rollouts that end without any answer: empty, cut short, or in a form that is not read. 1
    never stops."""
    most_identical: float = Field(default=0.5, ge=0, le=1)
    """Share of identical ones among the pairs of solutions to a problem of which at least one is wrong; where
    log-probabilities tell what chance would give (at temperature 1), so much more than that. 1 never stops."""
    least_after_right_step: float = Field(default=0.5, ge=0)
    """Pass rate after the first step of a right solution, as a multiple of the pass rate from the question. 0 never
    stops."""
