"""Solutions in which the segmenter finds no steps: one long step each, of which no label says anything useful."""

from stepforge.schemas.rollout import Rollout

LONG = 600
"""Characters of a solution that a person would have written in more than one step."""


def uncut(rollout: Rollout) -> bool:
    """Whether a whole solution that is long has stayed one step."""
    return rollout.start is None and len(rollout.steps) == 1 and len(rollout.steps[0].text) >= LONG


def uncut_warning(count: int, solutions: int, segmenter: str) -> str:
    return (
        f"{count} of {solutions} solutions are over {LONG} characters and one step: {segmenter} finds no steps in "
        "them; choose another policy.segmenter"
    )
