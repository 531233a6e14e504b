"""How many answers are graded per second, compared with Math-Verify in the same run.

`python -m benchmarks.grading` prints a table. Three sets, all made here: plain numbers in
sentences, formulas that are worked out in the process, and formulas that only Math-Verify reads. Each row is another
answer, so nothing is remembered. Ours finds the answer in the text and compares it; Math-Verify, with its default
settings, parses both sides and verifies. Both run in two processes.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

from benchmarks.measured import machine
from stepforge.grading.final_answer import extract_answer
from stepforge.grading.verdict import decide
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.schemas.problem import Problem

ANSWERS, PROCESSES = 4000, 2
Pair = tuple[str, str]
"""Reference and response."""


class Rate(NamedTuple):
    per_second: float
    per_processor_second: float
    """On a crowded machine the better measure: what one core does in a second that it has for this alone."""
    correct: int


def plain(i: int) -> Pair:
    """Return a number in a sentence, right in two of three."""
    said = i + (i % 3 == 0)
    shapes = (
        f"The answer is {said}, as required.",
        f"So \\boxed{{{said}}} dollars.",
        f"#### {said}",
        f"{said:,} apples",
    )
    return str(i), "First we add, then we divide.\n" * 8 + shapes[i % 4]


def symbolic(i: int) -> Pair:
    """Return a formula in another form, right in two of three."""
    off = i % 3 == 0
    return (
        (rf"{i}\sqrt{{3}}+x^2", rf"\boxed{{x^2+\sqrt{{{3 * i * i + off}}}}}"),
        (rf"(x+{i})^2", rf"\boxed{{x^2+{2 * i}x+{i * i + off}}}"),
        (rf"{i}\sin(2x)", rf"\boxed{{{2 * i}\sin x\cos x+{int(off)}}}"),
        (rf"\frac{{{i}\pi}}{{2}}", rf"\boxed{{\frac{{{i + off}}}{{4}}\cdot 2\pi}}"),
    )[i % 4]


def foreign(i: int) -> Pair:
    """Return a formula that only Math-Verify reads."""
    return str(i + 1), rf"\boxed{{\int_0^1 2x\,dx + {i + (i % 3 == 0)}}}"


def ours(pairs: list[Pair]) -> int:
    """Return how many pairs are correct; none may need Math-Verify."""
    return sum(decide(reference, extract_answer(response), "math") == "correct" for reference, response in pairs)


def math_verify(pairs: list[Pair]) -> int:
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    return sum(verify(parse(f"${reference}$"), parse(response)) for reference, response in pairs)


def parallel(work: Callable[[list[Pair]], int], pairs: list[Pair], processes: int) -> Rate:
    """Grade in processes that have done a little before."""
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(work, [pairs[:8]] * processes * 4))
        shares = [pairs[8 + i :: processes] for i in range(processes)]
        started = time.perf_counter()
        results = list(pool.map(partial(timed, work), shares))
        wall = time.perf_counter() - started
    count = len(pairs) - 8
    return Rate(count / wall, count / sum(seconds for _, seconds in results), sum(correct for correct, _ in results))


def timed(work: Callable[[list[Pair]], int], pairs: list[Pair]) -> tuple[int, float]:
    """Return how many are correct, and the processor time, in seconds."""
    started = time.process_time()
    return work(pairs), time.process_time() - started


def pooled(pairs: list[Pair], processes: int) -> Rate:
    """Grade by the pooled grader, whose processes ask Math-Verify."""

    async def work() -> Rate:
        async with PooledGrader(processes=processes) as grader:
            await asyncio.gather(
                *(grader.grade(_problem(i, p), [extract_answer(p[1])]) for i, p in enumerate(pairs[:8]))
            )
            started = time.perf_counter()
            jobs = [grader.grade(_problem(i, p), [extract_answer(p[1])]) for i, p in enumerate(pairs[8:])]
            outcomes = await asyncio.gather(*jobs)
            rate = len(jobs) / (time.perf_counter() - started)
            return Rate(rate, math.nan, outcomes.count(["correct"]))

    return asyncio.run(work())


def _problem(number: int, pair: Pair) -> Problem:
    return Problem(
        id=str(number), source="", domain="", question="", answer=pair[0], answer_kind="math", group=str(number)
    )


def main() -> None:
    n, processes = ANSWERS, PROCESSES
    sets: list[tuple[str, Callable[[int], Pair], int, Callable[[list[Pair]], Rate]]] = [
        ("plain", plain, n, partial(parallel, ours, processes=processes)),
        ("symbolic", symbolic, max(n // 4, 40), partial(parallel, ours, processes=processes)),
        ("left to Math-Verify", foreign, max(n // 10, 40), partial(pooled, processes=processes)),
    ]
    print(f"{processes} processes on {machine()}\n")
    print("| answers | ours/s | Math-Verify/s | ratio | ours per CPU second | Math-Verify | correct: ours | theirs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, make, count, grade in sets:
        pairs, fewer = [make(i) for i in range(1, count + 9)], max(count // 4, 40)
        mine, theirs = grade(pairs), parallel(math_verify, pairs[:fewer], processes)
        print(
            f"| {name} ({count}) | {mine.per_second:,.0f} | {theirs.per_second:,.0f} "
            f"| {mine.per_second / theirs.per_second:.1f} | {mine.per_processor_second:,.0f} "
            f"| {theirs.per_processor_second:,.0f} | {mine.correct / count:.3f} | {theirs.correct / (fewer - 8):.3f} |"
        )


if __name__ == "__main__":
    main()
