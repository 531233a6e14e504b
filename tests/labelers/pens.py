"""A problem of three quantities with a known truth, read in either wording."""

from stepforge.schemas.problem import Problem, Quantity, Reading, Truth
from stepforge.schemas.rollout import Step


def pens(reading: Reading) -> Problem:
    quantities = (
        Quantity(name="Ann", expression="", value="4"),
        Quantity(name="Bob", expression="2 * 4", value="8"),
        Quantity(name="Cleo", expression="8 + 5", value="13"),
    )
    question = "Ann has 4 pens. Bob has 2 times as many as Ann. Cleo has 5 more than Bob. How many has Cleo?"
    return Problem(
        id="p",
        source="test",
        domain="test",
        question=question,
        answer="13",
        answer_kind="integer",
        group="g",
        truth=Truth(quantities=quantities, reading=reading),
    )


def steps(*lines: str) -> tuple[Step, ...]:
    return tuple(Step(text=f"{line}\n") for line in lines)
