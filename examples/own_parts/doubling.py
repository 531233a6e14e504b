"""A problem family: a number that is doubled several times."""

from random import Random
from typing import Literal

from stepforge.generators.draft import Draft, Say
from stepforge.generators.family import Family


class Doubling(Family):
    """``Start with 3 and double it 2 times. What do you get?``"""

    kind: Literal["doubling"] = "doubling"

    def draft(self, rng: Random, level: int) -> Draft:
        start = rng.randint(2, 9)

        def work(say: Say) -> int:
            value = start
            for i in range(1, level + 2):
                value = say(f"t{i}", f"{value} * 2", value * 2)
            return value

        question = f"Start with {start} and double it {level + 1} times. What do you get?"
        return Draft(question=question, work=work, shape=f"doubling {level}")
