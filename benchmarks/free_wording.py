"""Free and long wording, measured on drawn solutions: how long they are, how often siblings begin alike, and how often
the oracle is right.

    python -m benchmarks.free_wording [--wording long] [--read 100]

The oracle's verdict on every line is compared with what the line was drawn as; six in ten solutions hold a slip, four
in ten of these a repair. ``held_out`` draws from forms that its reader was not tuned on. ``--read`` prints so many of
the held-out lines, and all on which the two differ.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from random import Random
from statistics import quantiles
from typing import Literal, NamedTuple

import typer

from benchmarks.embedded_policy.free_lines import Line
from benchmarks.embedded_policy.free_solutions import free_solution
from benchmarks.embedded_policy.long_lines import tokens_of
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.labelers.oracle import judge
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Step
from stepforge.schemas.seeds import rng_of

AnyFamily = Callable[..., Family]
Wording = Literal["free", "long"]
Part = Literal["tuning", "held_out"]
SEED = 3
SIBLINGS = 8
TOP = {"free": 6, "long": 10}
"""The highest level drawn."""


class Judged(NamedTuple):
    """A drawn solution, and for each line whether the oracle calls it wrong."""

    problem: Problem
    lines: list[Line]
    wrong: list[bool]

    @property
    def agreed(self) -> list[bool]:
        return [line.right != wrong for line, wrong in zip(self.lines, self.wrong, strict=True)]

    @property
    def first_agreed(self) -> bool:
        """Whether the oracle names the first wrong line, or says that there is none."""
        return _first(self.wrong) == _first([not line.right for line in self.lines])


def judged(family: AnyFamily, part: Part, count: int, wording: Wording = "free") -> Iterator[Judged]:
    """Yield ``count`` solutions of a family, of all of its levels."""
    source = drawn_family(family, wording)
    for i in range(count):
        draft, _ = source.draw(SEED, i)
        rng, long = rng_of(SEED, part, i), wording == "long"
        lines = free_solution(draft, rng, slip_share=0.6, repair_share=0.4, part=part, long=long)
        problem = source.item(SEED, i)
        classes = judge(problem, tuple(Step(text=line.text) for line in lines))
        yield Judged(problem, lines, [c in ("wrong", "repaired") for c in classes])


def drawn_family(family: AnyFamily, wording: Wording) -> Family:
    top = min(TOP[wording], family(levels=(1,)).max_level)
    return family(levels=tuple(range(1, top + 1)), wording=wording)


def _first(flags: Sequence[bool]) -> int | None:
    return next((i for i, flag in enumerate(flags) if flag), None)


def shared_beginnings(family: AnyFamily, count: int, wording: Wording) -> tuple[int, int, int]:
    """Return (pairs of right siblings, those that share the first step, those that share the first four)."""
    pairs = first = four = 0
    for i in range(count):
        draft, _ = drawn_family(family, wording).draw(SEED, i)
        rngs, long = [rng_of("sibling", i, j) for j in range(SIBLINGS)], wording == "long"
        drawn = (free_solution(draft, rng, slip_share=0, repair_share=0, long=long) for rng in rngs)
        for a, b in combinations([[line.text for line in lines] for lines in drawn], 2):
            pairs, first, four = pairs + 1, first + (a[0] == b[0]), four + (a[:4] == b[:4])
    return pairs, first, four


def _say_counts(part: Part, solutions: list[Judged]) -> None:
    agreed = [same for solution in solutions for same in solution.agreed]
    right, first = sum(agreed), sum(solution.first_agreed for solution in solutions)
    print(
        f"{part}: {right} of {len(agreed)} lines ({right / len(agreed):.2%}), first error {first} of {len(solutions)} "
        "solutions"
    )


def _say_lengths(solutions: list[Judged]) -> None:
    tokens = [tokens_of(line.text) for solution in solutions for line in solution.lines]
    steps = [len(solution.lines) for solution in solutions]
    whole = [sum(tokens_of(line.text) for line in solution.lines) for solution in solutions]
    for name, numbers in (("tokens a step", tokens), ("lines a solution", steps), ("tokens a solution", whole)):
        cuts = quantiles(numbers, n=20)
        middle = ", ".join(f"{5 * (i + 1)} %: {cuts[i]:.0f}" for i in (0, 4, 9, 14, 18))
        print(f"{name}: {min(numbers)} to {max(numbers)}; {middle}")


def _say_lines(solutions: list[Judged], count: int) -> None:
    rows = [
        (solution.problem, line, wrong)
        for solution in solutions
        for line, wrong in zip(solution.lines, solution.wrong, strict=True)
    ]
    chosen = Random(SEED).sample(rows, min(count, len(rows)))
    for problem, line, wrong in [*chosen, *(row for row in rows if row[1].right == row[2])]:
        print(f"{problem.id} drawn as {line.mark}, {'wrong' if wrong else 'not wrong'}: {line.text.strip()}")


def main(problems: int = 200, wording: Wording = "free", read: int = 0) -> None:
    """``problems``: problems a family."""
    for part in ("tuning", "held_out"):
        solutions = [s for family in ALL_FAMILIES for s in judged(family, part, problems, wording)]
        _say_counts(part, solutions)
    _say_lengths(solutions)
    shared = [shared_beginnings(family, problems // 4, wording) for family in ALL_FAMILIES]
    pairs, first, four = (sum(column) for column in zip(*shared, strict=True))
    print(f"right siblings: first step shared in {first} of {pairs} pairs ({first / pairs:.2%}), first four in {four}")
    if read:
        _say_lines(solutions, read)


if __name__ == "__main__":
    typer.run(main)
