"""What agreement among solutions is worth, on a run whose every answer is known: for votes, and for wrong references.

    stepforge run RUN.toml --out RUN          # families, 16 solutions per problem
    python -m benchmarks.agreement RUN

Votes: how often the answer with most votes is right, and how that share grows with agreement; the last line is a
`calibration` for the `self_consistency` filter. Wrong references: in 5 % of the problems the reference is replaced, by
itself with a digit changed (`digit`) or by the answer of a wrong solution of the policy (`slip`, which the policy then
votes for); each problem is replaced once in twenty turns. Intervals: 95 %, by drawing problems anew.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import typer

from benchmarks.measured import with_interval
from stepforge.filters import WrongReference
from stepforge.filters.self_consistency import with_reference
from stepforge.grading.verdict import decide
from stepforge.grading.votes import refuted, vote_shares, voters
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_rows
from stepforge.schemas.rollout import SolvedProblem

TURNS = 20
DRAWS = 400
EDGES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Found(NamedTuple):
    """Whether a filter calls a problem's reference wrong: as it is, and replaced."""

    as_is: bool
    replaced: bool
    settled: bool
    """Whether the answer that it would put in its place is the true one."""


def read(folder: Path) -> list[SolvedProblem]:
    return [row for path in Layout(folder).shards("solve") for row in read_rows(path, SolvedProblem)]


def votes(rows: Sequence[SolvedProblem], count: int, sharpness: float) -> list[tuple[float, bool]]:
    """Return for each problem the share of the answer with most votes, 0 without any, and whether it is right."""
    found = []
    for row in rows:
        shares = vote_shares(voters(row.rollouts[:count]), row.problem.answer_kind, sharpness)
        answer, share = next(iter(shares.items()), (None, 0.0))
        found.append((share, decide(row.problem.answer, answer, row.problem.answer_kind) == "correct"))
    return found


def show_votes(rows: Sequence[SolvedProblem]) -> None:
    """Print accuracy, and the share of right majorities from each agreement on."""
    edges = " ".join(f"{edge:>11}" for edge in EDGES[2:])
    print(f"solutions sharpness  right majority          right, and kept, from agreement {edges}")
    for count in (4, 8, 16):
        for sharpness in (0.0, 8.0, 32.0):
            found = votes(rows, count, sharpness)
            right = with_interval(sum(ok for _, ok in found), len(found), ".3f")
            cells = []
            for edge in EDGES[2:]:
                kept = [ok for share, ok in found if share >= edge - 1e-9]
                cells.append(f"{sum(kept) / max(1, len(kept)):.3f} {len(kept) / len(found):.2f}")
            print(f"{count:9} {sharpness:9}  {right} {'':33}{'  '.join(cells)}")
    print(f"calibration = {calibration(votes(rows, 8, 0.0))}")


def calibration(found: Sequence[tuple[float, bool]]) -> list[list[float]]:
    """Return pairs of agreement and share right: bins of agreement, pooled until they rise (isotonic regression)."""
    bins: list[list[float]] = []
    for low, high in zip((0.0, *EDGES), EDGES, strict=False):
        inside = [(share, ok) for share, ok in found if low < share <= high]
        if inside:
            bins.append([sum(share for share, _ in inside), sum(ok for _, ok in inside), len(inside)])
        while len(bins) > 1 and bins[-2][1] / bins[-2][2] > bins[-1][1] / bins[-1][2]:
            last = bins.pop()
            bins[-1] = [a + b for a, b in zip(bins[-1], last, strict=True)]
    return [[round(shares / count, 3), round(right / count, 3)] for shares, right, count in bins]


def replaced(row: SolvedProblem, how: str) -> SolvedProblem:
    """Return a row with a wrong reference, and the outcomes that follow from it."""
    rng = Random(row.problem.id)
    wrong = [r.answer for r in row.rollouts if r.outcome == "wrong" and r.answer is not None]
    if how == "slip" and wrong:
        return with_reference(row, rng.choice(wrong))
    digits = [match.start() for match in re.finditer(r"\d", row.problem.answer or "")]
    at, text = rng.choice(digits), row.problem.answer or ""
    return with_reference(row, text[:at] + rng.choice([d for d in "123456789" if d != text[at]]) + text[at + 1 :])


def show_references(rows: Sequence[SolvedProblem], how: str, thresholds: Sequence[float]) -> None:
    """Print precision, recall and how often the majority is the truth, at several thresholds."""
    for threshold in thresholds:
        part = WrongReference(min_agreement=threshold)
        found = []
        for row in rows:
            answer = part.contradiction(replaced(row, how))
            true = decide(row.problem.answer, answer, row.problem.answer_kind) == "correct"
            found.append(Found(part.contradiction(row) is not None, answer is not None, true))
        precision, recall, settled = _figures(found)
        rng = Random(1)
        drawn = [_figures(rng.choices(found, k=len(found))) for _ in range(DRAWS)]
        low, high = zip(*(_ends([figures[i] for figures in drawn]) for i in (0, 1)), strict=True)
        print(
            f"{how:6} {threshold:4} precision {precision:.3f} ({low[0]:.3f} to {high[0]:.3f})  recall {recall:.3f} "
            f"({low[1]:.3f} to {high[1]:.3f})  majority true {settled:.3f}"
        )


def _figures(found: Sequence[Found]) -> tuple[float, float, float]:
    hits, alarms = sum(f.replaced for f in found), sum(f.as_is for f in found) * (TURNS - 1)
    settled = sum(f.settled for f in found)
    return hits / max(1, hits + alarms), hits / len(found), settled / max(1, hits)


def _ends(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 40], ordered[-len(ordered) // 40]


def main(run: Path) -> None:
    rows = read(run)
    rates = [row.pass_rate or 0.0 for row in rows]
    print(f"{len(rows)} problems, pass rate {sum(rates) / len(rates):.3f}")
    for outcome in ("correct", "wrong"):
        ended = [(row.problem, rollout) for row in rows for rollout in row.rollouts if rollout.outcome == outcome]
        false = [(problem, rollout) for problem, rollout in ended if refuted(rollout)]
        told = [decide(p.answer, vote.answer, p.answer_kind) == "correct" for p, r in false for vote in voters([r])]
        print(f"{len(false)} of {len(ended)} {outcome} solutions state a false equation; calculated again, {sum(told)}")
        print(f"vote for the right answer, {len(told) - sum(told)} for another, the others have no vote")
    show_votes(rows)
    for how in ("digit", "slip"):
        show_references(rows, how, (0.5, 0.6, 0.7, 0.8, 0.9))


if __name__ == "__main__":
    typer.run(main)
