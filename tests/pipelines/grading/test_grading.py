"""The grader and its processes: hostile answers end, honest neighbors are unharmed, nothing is left behind."""

import asyncio
import gzip
import json
import math
import os
import resource
import time
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa
import pytest

from stepforge.grading.final_answer import reference_answer
from stepforge.pipelines.commands.grade import grade_file
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.grading.pool import GradingPool
from stepforge.pipelines.grading.queue import Comparison, FairQueue
from stepforge.schemas.errors import BadInput
from stepforge.schemas.problem import AnswerKind, Problem
from stepforge.schemas.protocols import Grader
from stepforge.schemas.rollout import Outcome

FEW = Path(__file__).parents[2] / "fixtures" / "processbench_few.jsonl"


def problem(answer: str | None, kind: AnswerKind = "math") -> Problem:
    return Problem(id="p", source="s", domain="d", question="q", answer=answer, answer_kind=kind, group="g")


def hard(value: int) -> str:
    """An answer that only Math-Verify reads."""
    return rf"\int_0^1 2x\,dx + {value - 1}"


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


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


def test_hostile_answers_end_and_harm_nobody(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = hostile(canary)
    honest = [rf"{hard(i + 1)} - {i + i % 2}" for i in range(len(attacks))]
    mixed = [answer for pair in zip(attacks, honest, strict=True) for answer in pair]

    async def work() -> tuple[list[Outcome], float]:
        async with PooledGrader(limit_seconds=3.0) as grader:
            started = time.monotonic()
            return await grader.grade(problem("0"), mixed), time.monotonic() - started

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes, seconds = asyncio.run(work())
    assert len(attacks) >= 40
    assert "correct" not in outcomes[::2]
    assert outcomes[1::2] == ["correct" if i % 2 else "wrong" for i in range(len(attacks))]
    assert seconds < (3.0 + 2.0) * len(attacks)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000  # KiB
    assert not canary.exists()


def test_the_processes_withstand_what_the_gates_would_refuse(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = [attack for attack in hostile(canary) if len(attack) <= 2000][:8]
    pool = GradingPool(processes=1, limit_seconds=1.0, memory_bytes=2**30)
    try:
        futures = [pool.submit("p", "x+1", answer) for attack in attacks for answer in (attack, "1+x")]
        outcomes = [future.result(timeout=100) for future in futures]
        oversized = pool.submit("p", "x+1", "1" * 1_000_000).result(timeout=1)
    finally:
        pool.close()
    assert "correct" not in outcomes[::2]
    assert outcomes[1::2] == ["correct"] * len(attacks)
    assert oversized == "undetermined"
    assert not canary.exists()


def test_hostile_answers_to_other_kinds_and_as_references(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    attacks = hostile(canary)

    async def work() -> set[Outcome]:
        async with PooledGrader(limit_seconds=3.0) as grader:
            found = [await grader.grade(problem("18", "expression"), attacks[:24])]
            found += [await grader.grade(problem("18", "choice"), attacks)]
            found += [await grader.grade(problem("18", "text"), attacks)]
            found += [await grader.grade(problem(attack), ["18"]) for attack in attacks[:24]]
            return {outcome for outcomes in found for outcome in outcomes}

    assert "correct" not in asyncio.run(work())
    assert not canary.exists()


def test_a_process_killed_in_mid_work_is_replaced() -> None:
    async def work() -> list[Outcome]:
        async with PooledGrader() as grader:
            first = await grader.grade(problem("5"), [hard(5)])
            os.kill(grader.process_ids[0], 9)
            await grader.grade(problem("5"), [hard(7)])  # may be lost with the process
            return first + await grader.grade(problem("5"), [hard(4) + "+1", hard(6)])

    assert asyncio.run(work()) == ["correct", "correct", "wrong"]


def test_a_process_is_limited_and_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("MY_PASSWORD", "canary-too")

    async def work() -> tuple[bytes, str]:
        async with PooledGrader(memory_bytes=2**30) as grader:
            assert await grader.grade(problem("5"), [hard(5)]) == ["correct"]
            of = Path(f"/proc/{grader.process_ids[0]}")
            return (of / "environ").read_bytes(), (of / "limits").read_text()

    environment, limits = asyncio.run(work())
    assert b"canary" not in environment
    assert f"Max address space         {2**30}" in limits


def test_closing_leaves_no_process_and_answers_what_is_queued() -> None:
    async def work() -> tuple[list[int], list[Outcome]]:
        grader = PooledGrader(processes=2)
        await grader.grade(problem("5"), [hard(5)])
        processes = grader.process_ids
        queued = asyncio.create_task(grader.grade(problem("5"), [hard(n) for n in range(500)]))
        await asyncio.sleep(0.01)
        await grader.close()
        await grader.close()
        return processes, await queued

    processes, outcomes = asyncio.run(work())
    assert processes
    assert not any(alive(process) for process in processes)
    assert len(outcomes) == 500
    assert "undetermined" in outcomes


def test_exact_comparisons_start_nothing() -> None:
    async def work() -> list[int]:
        grader: Grader
        async with PooledGrader() as grader:
            assert await grader.grade(problem("18"), ["18", "19", None, "18 apples"]) == [
                "correct", "wrong", "undetermined", "correct",
            ]  # fmt: skip
            assert await grader.grade(problem("7/6", "rational"), ["14/12"]) == ["correct"]
            assert await grader.grade(problem(None), ["18"]) == ["undetermined"]
            return grader.process_ids

    assert asyncio.run(work()) == []


SLOW = [rf"\int_0^{{\infty}} \frac{{\sin(x^{{{90 + k}}})}}{{x^{{7}}+\sqrt{{x}}+1}} dx" for k in range(5)]


def test_slow_answers_hold_up_no_other_problem() -> None:
    async def work() -> tuple[list[Outcome], int]:
        async with PooledGrader() as grader:
            slow = [asyncio.create_task(grader.grade(problem(r"\frac{1}{3}"), [answer])) for answer in SLOW]
            await asyncio.sleep(0.01)
            honest = problem("2").model_copy(update={"id": "other"})
            outcomes = await grader.grade(honest, [hard(2), hard(3)])
            return outcomes, sum(not task.done() for task in slow)

    outcomes, unanswered = asyncio.run(work())
    assert outcomes == ["correct", "wrong"]
    assert unanswered >= 4


def test_a_problem_has_a_budget_for_slow_answers() -> None:
    async def work() -> list[Outcome]:
        async with PooledGrader(limit_seconds=1.0) as grader:
            return await grader.grade(problem(r"\frac{1}{3}"), SLOW * 2)

    assert asyncio.run(work()) == ["undetermined"] * 10


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

    async def work() -> list[Outcome]:
        async with PooledGrader() as grader:
            return await grader.grade(problem("x+41"), ["41+x"])

    assert asyncio.run(work()) == ["undetermined"]


def test_thousands_of_calls_from_one_loop() -> None:
    async def work() -> list[list[Outcome]]:
        async with PooledGrader() as grader:
            calls = [grader.grade(problem(f"{n % 40}"), [hard(n % 40), hard(n % 40 + 1)]) for n in range(4000)]
            return await asyncio.gather(*calls)

    assert asyncio.run(work()) == [["correct", "wrong"]] * 4000


def test_a_cancelled_call_takes_no_verdict_from_another() -> None:
    async def work() -> list[Outcome]:
        async with PooledGrader() as grader:
            given_up = asyncio.create_task(grader.grade(problem("5"), [hard(5)]))
            kept = asyncio.create_task(grader.grade(problem("5"), [hard(5)]))
            await asyncio.sleep(0)
            given_up.cancel()
            return await kept

    assert asyncio.run(work()) == ["correct"]


def test_a_grader_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PooledGrader(limit_seconds=0.1)


def test_real_responses_are_graded_as_their_labels_say(tmp_path: Path) -> None:
    out = tmp_path / "graded.jsonl"
    summary = grade_file(FEW, "answer", "steps", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["verdict"] == "correct" for row in rows] == [row["final_answer_correct"] for row in rows]
    assert [row["extracted"] for row in rows] == ["30", r"\$37,800", "53 minutes", "$72", r"\$324"]
    assert (summary.rows, summary.correct, summary.wrong, summary.undetermined) == (5, 3, 2, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["graded.jsonl"]


def test_csv_is_read_and_standard_output_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('gold,reply\n007,"The answer is 7."\n18,"I give up"\n')
    grade_file(table, "gold", "reply", None)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["gold"], row["verdict"], row["extracted"]) for row in rows] == [
        ("007", "correct", "7"),
        ("18", "undetermined", None),
    ]


BAD = [
    ('{"a": "1", "r": "1"}\n{"a": ', "row 2: not JSON"),
    ('{"a": "1", "r": "1"}\n[1]', "row 2: is not a JSON object"),
    ('{"a": "1"}', "row 1: no column 'r'"),
    ('{"a": "1", "r": {"x": 1}}', "row 1: column 'r' is a dict"),
    ('{"a": "1", "r": ["x", 1]}', "row 1: column 'r' is a list"),
    ('{"a": "1", "r": NaN}', "row 1: column 'r' is a float"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_refused_with_its_place_and_nothing_is_written(tmp_path: Path, text: str, message: str) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(text)
    out.write_text("as it was")
    with pytest.raises(BadInput, match=message) as refused:
        grade_file(source, "a", "r", out)
    assert "\n" not in str(refused.value)
    assert out.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


ROWS = [
    {"a": "1/2", "r": "So \\boxed{0.5}.", "other": True, "score": math.nan},
    {"a": "1/2", "r": "So \\boxed{0.5}.", "other": "wrong", "score": math.inf},
    {"a": "18", "r": "The answer is 19.", "other": 1, "score": 0.5},
    {"a": "18", "r": "I give up", "other": "0", "score": 1},
    {"a": "18", "r": "The answer is 19.", "other": None, "score": 1},
]


def packed(folder: Path, suffix: str) -> Path:
    path = folder / f"rows.jsonl{suffix}"
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    if suffix == ".gz":
        path.write_bytes(gzip.compress(data))
    elif suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(data)
    else:
        path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_an_audit_lists_disagreements_by_kind(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "graded.jsonl"
    audit = grade_file(packed(tmp_path, suffix), "a", "r", out, audit="other").audit
    assert audit is not None
    assert (audit.agree, audit.disagree, audit.we_leave_open, audit.they_leave_open) == (1, 2, 1, 1)
    kinds = {(found.ours, found.theirs, found.kind, found.rows) for found in audit.disagreements}
    assert kinds == {
        ("correct", "wrong", "number, equal values", 1),
        ("wrong", "correct", "number", 1),
        ("undetermined", "wrong", "no answer found", 1),
        ("wrong", "undetermined", "number", 1),
    }
    assert "we say correct, they say wrong: number, equal values" in str(audit)
    rows = [json.loads(line, parse_constant=pytest.fail) for line in out.read_text().splitlines()]
    assert [row["score"] for row in rows] == [None, None, 0.5, 1, 1]


def test_an_audit_alone_writes_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grade_file(packed(tmp_path, ""), "a", "r", None, audit="other")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": "1", "r": "1", "other": 0.7}, "column 'other' is '0.7'"),
        ({"a": "1", "r": "1"}, "no column 'other'"),
        ({"a": "1", "r": "1", "other": 1, "verdict": "correct"}, "has a column 'verdict' already"),
        ({"a": "1", "r": "1", "other": 1, "extracted": None}, "has a column 'extracted' already"),
    ],
)
def test_an_audit_of_a_column_that_is_none_is_refused(tmp_path: Path, row: dict[str, object], message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(BadInput, match=message):
        grade_file(path, "a", "r", None, audit="other")


def test_a_compressed_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for name in ("rows.jsonl.gz", "rows.jsonl.zst"):
        (tmp_path / name).write_text("plain")
        with pytest.raises(BadInput, match="not a whole"):
            grade_file(tmp_path / name, "a", "r", None)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        grade_file(tmp_path / "none.jsonl", "a", "r", None)
    with pytest.raises(BadInput, match="does not exist"):
        grade_file(FEW, "answer", "steps", tmp_path / "none" / "out.jsonl")
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(BadInput, match="not a Parquet file"):
        grade_file(tmp_path / "broken.parquet", "a", "r", None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("18 - 6 = 12\n#### 12", "12"), (r"So \boxed{x}", "x"), ("x=5", "x=5"), ("east", "east"), ("", None)],
)
def test_a_reference_is_bare_or_framed(text: str, answer: str | None) -> None:
    assert reference_answer(text) == answer
