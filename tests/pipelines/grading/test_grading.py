"""Processes that compare answers: hostile answers, deaths, limits, and turns by problem."""

import asyncio
import errno
import resource
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from fakes import outcomes

from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.grading.pool import Comparison, FairQueue, GradingPool
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.problem import AnswerKind, Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import Outcome

pytestmark = pytest.mark.anyio


def problem(answer: str | None, kind: AnswerKind = "math") -> Problem:
    return Problem(id="p", source="s", domain="d", question="q", answer=answer, answer_kind=kind, group="g")


def hard(value: int) -> str:
    """An answer that only Math-Verify reads."""
    return rf"\int_0^1 2x\,dx + {value - 1}"


def comparing() -> list[psutil.Process]:
    """Return the processes of this one that compare."""
    return [child for child in psutil.Process().children() if "stepforge.pipelines.grading.worker" in child.cmdline()]


def hostile(canary: Path) -> list[str]:
    touch = f"__import__('os').system('touch {canary}')"
    return [
        "9^{9^{9^{9}}}", "9**9**9**9", "((10!)!)!", r"\binom{10^9}{5\cdot10^8}", "10^{10^{10}}", "{" * 20_000,
        r"\sum_{n=1}^{10^{12}} \frac{1}{n}", r"\{" + ",".join(map(str, range(20_000))) + r"\}",
        r"\frac{1}{" * 300 + "2" + "}" * 300, r"\frac{1}{1+" * 29 + "x" + "}" * 29, "7" * 1_000_000, "1," * 30_000,
        r"\begin{pmatrix}" + r"\\".join("&".join("1" * 60) for _ in range(60)) + r"\end{pmatrix}",
        touch, f"${touch}$", f"\\text{{{touch}}}", f"lambda: {touch}", "exec(\"open('x','w')\")", "18\x00",
        "\ud800\udfff",
        "\u202e81\u202c", "\u0661\u0668" * 50, "\U0001d7d7" * 2000, "(((9^{24})^{24})^{24})^{24}", "x" * 1_000_000,
        r"\int_0^{\infty} \frac{\sin(x^{99})}{x^{7}+\sqrt{x}+1} dx", r"\prod_{n=1}^{\infty} (1+\frac{1}{n^{3}+x})",
        "x^{9999}" * 200, "(x+1)^{9999}(x+2)^{9999}", "(a+b+c+d+e+f)^{90}",
        "1000!" * 300, r"\sqrt{" * 28 + "2" + "}" * 28,
        r"\cos(" * 25 + "x" + ")" * 25, "9^{9999}^{9999}",
        "|" * 1000, "1" + "+1" * 900, r"\lim_{n\to\infty}(1+\frac{1}{n^{n}})^{n}",
        r"x_{1}+" * 200 + "1",
        "<" * 1000, "\\" * 1999, "%" * 1999, r"\text{" * 29 + "}" * 29, "=" * 1999, "2^{-9999}" * 100,
    ]  # fmt: skip


async def test_hostile_answers_end_and_harm_nobody(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = hostile(canary)
    honest = [rf"{hard(i + 1)} - {i + i % 2}" for i in range(12)]
    mixed = [*attacks[: -len(honest)], *(x for pair in zip(attacks[-len(honest) :], honest, strict=True) for x in pair)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(attacks) >= 40
    async with PooledGrader(limit_seconds=6.0, quick_seconds=0.25) as grader:
        found = dict(zip(mixed, await grader.grade(problem("0"), mixed), strict=True))
    assert "correct" not in [found[attack] for attack in attacks]
    assert [found[answer] for answer in honest] == ["correct" if i % 2 else "wrong" for i in range(12)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000  # KiB
    assert not canary.exists()


def test_the_processes_withstand_what_the_gates_would_refuse(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = [attack for attack in hostile(canary) if len(attack) <= 2000][:8]
    pool = GradingPool(processes=1, limit_seconds=1.0)
    try:
        futures = [pool.submit("p", "x+1", answer) for attack in attacks for answer in (attack, "1+x")]
        outcomes = [future.result(timeout=100) for future in futures]
        oversized = pool.submit("p", "x+1", "1" * 1_000_000).result(timeout=100)
    finally:
        pool.close()
    assert "correct" not in outcomes[::2]
    assert outcomes[1::2] == ["correct"] * len(attacks)
    assert oversized == "undetermined"
    assert not canary.exists()


async def test_hostile_answers_to_other_kinds_and_as_references(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = hostile(canary)
    async with PooledGrader(limit_seconds=1.0, quick_seconds=0.25) as grader:
        found = await grader.grade(problem("18", "expression"), attacks[:24])
        found += await grader.grade(problem("18", "choice"), attacks)
        found += await grader.grade(problem("18", "text"), attacks)
        for attack in attacks[:24]:
            found += await grader.grade(problem(attack), ["18"])
    assert "correct" not in found
    assert not canary.exists()


async def test_a_process_killed_in_mid_work_is_replaced() -> None:
    async with PooledGrader() as grader:
        assert await grader.grade(problem("5"), [hard(5)]) == ["correct"]
        comparing()[0].kill()
        await grader.grade(problem("5"), [hard(7)])  # may be lost with the process
        assert await grader.grade(problem("5"), [hard(4) + "+1", hard(6)]) == ["correct", "wrong"]


async def test_a_process_is_limited_and_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("MY_PASSWORD", "canary-too")
    async with PooledGrader() as grader:
        assert await grader.grade(problem("5"), [hard(5)]) == ["correct"]
        of = Path(f"/proc/{comparing()[0].pid}")
        assert b"canary" not in (of / "environ").read_bytes()
        assert f"Max address space         {2**31}" in (of / "limits").read_text()


async def test_closing_leaves_no_process_and_answers_what_is_queued() -> None:
    grader = PooledGrader(processes=2)
    await grader.grade(problem("5"), [hard(5)])
    processes = comparing()
    queued = asyncio.create_task(grader.grade(problem("5"), [hard(n) for n in range(500)]))
    await asyncio.sleep(0.01)
    await grader.close()
    await grader.close()
    assert processes
    assert not any(process.is_running() for process in processes)
    assert len(await queued) == 500
    assert "undetermined" in await queued


async def test_exact_comparisons_start_nothing() -> None:
    grader: Grader
    async with PooledGrader() as grader:
        assert await grader.grade(problem("18"), ["18", "19", None, "18 apples"]) == [
            "correct", "wrong", "undetermined", "correct",
        ]  # fmt: skip
        assert await grader.grade(problem("7/6", "rational"), ["14/12"]) == ["correct"]
        assert await grader.grade(problem(None), ["18"]) == ["undetermined"]
        assert comparing() == []


SLOW = [rf"\int_0^{{\infty}} \frac{{\sin(x^{{{90 + k}}})}}{{x^{{7}}+\sqrt{{x}}+1}} dx" for k in range(5)]


async def test_slow_answers_hold_up_no_other_problem() -> None:
    async with PooledGrader() as grader:
        slow = [asyncio.create_task(grader.grade(problem(r"\frac{1}{3}"), [answer])) for answer in SLOW]
        await asyncio.sleep(0.01)
        honest = problem("2").model_copy(update={"id": "other"})
        assert await grader.grade(honest, [hard(2), hard(3)]) == ["correct", "wrong"]
        assert sum(not task.done() for task in slow) >= 4
    await asyncio.gather(*slow)


def test_a_problem_has_a_budget_for_slow_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, now = GradingPool(processes=1, limit_seconds=1.0), [0.0]
    monkeypatch.setattr("stepforge.pipelines.grading.pool.time.monotonic", lambda: now[0])

    class Slow:
        def ask(self, reference: str, answer: str) -> None:
            now[0] += 1.0

    comparisons = [Comparison("p", "x", str(n), Future()) for n in range(10)]
    for comparison in comparisons:
        pool._compare(comparison, Slow(), slow=True)  # type: ignore[arg-type]
    assert now == [3.0]
    assert {comparison.outcome.result() for comparison in comparisons} == {"undetermined"}
    pool.close()


def test_a_process_that_does_not_start_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("stepforge.pipelines.grading.process.Pipe", full)
    pool = GradingPool(processes=1, limit_seconds=1.0)
    for _ in range(2):
        with pytest.raises(RunFailed, match="the grading process does not start"):
            pool.submit("p", hard(1), hard(2)).result(timeout=60)
    pool.close()


def test_comparisons_are_taken_round_robin_by_problem() -> None:
    queue = FairQueue()
    for name in ("a", "a", "a", "b", "c"):
        assert queue.put(Comparison(name, "1", "2", Future()))
    taken = [queue.take() for _ in range(4)]
    assert [comparison.problem for comparison in taken if comparison is not None] == ["a", "b", "c", "a"]
    assert [comparison.problem for comparison in queue.close()] == ["a"]
    assert queue.take() is None
    assert not queue.put(Comparison("a", "1", "2", Future()))


def test_whatever_the_grader_raises_is_undetermined(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*sides: object) -> Outcome:
        raise RecursionError

    monkeypatch.setattr("stepforge.grading.verdict.compare", broken)
    assert outcomes(problem("x+41"), "41+x") == ["undetermined"]


async def test_thousands_of_calls_from_one_loop() -> None:
    async with PooledGrader() as grader:
        calls = [grader.grade(problem(f"{n % 8}"), [hard(n % 8), hard(n % 8 + 1)]) for n in range(4000)]
        assert await asyncio.gather(*calls) == [["correct", "wrong"]] * 4000


async def test_a_cancelled_call_takes_no_verdict_from_another() -> None:
    async with PooledGrader() as grader:
        given_up = asyncio.create_task(grader.grade(problem("5"), [hard(5)]))
        kept = asyncio.create_task(grader.grade(problem("5"), [hard(5)]))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await kept == ["correct"]
