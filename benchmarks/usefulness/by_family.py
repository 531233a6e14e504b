"""Reward models trained on labels of a recording, each family left out in turn.

    python -m benchmarks.usefulness.by_family --recording DIR [--model embedded-free]

A surprise head (``pipelines/scorers``) learns from what a labeler makes of the recorded solutions of the other
families; a fifth of those problems, by their groups, is kept to choose the threshold on, with the truth. It is examined
on the family that is left out, beside two controls without training, whose thresholds are chosen in the same way: the
policy's least expected token, and its least expected token of a number. ProcessBench's F1 over the solutions of all
families together; intervals from resampled problems.

Stated in advance, for a recording that the head was not developed on: trained on labels of ``change_point``, it is
ahead of the least expected token by at least 0.05, with an interval above zero. The second control says how much of
that is the reading of numbers, and how much the labels.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.usefulness.prm_exam import Answers, Tally, Text, exam, interval, padded_scores, targets, texts
from stepforge.labelers import ChangePoint, Labeler, Oracle
from stepforge.labelers.evidence.replay import solved_part
from stepforge.pipelines.bench.bench import bench_problems
from stepforge.pipelines.bench.cases import BenchProblem, labeled_rows
from stepforge.pipelines.bench.measure import resamples
from stepforge.pipelines.commands.train_scorer import read_solutions
from stepforge.pipelines.scorers.surprise import GROUPS, OF_GROUP, Surprise
from stepforge.pipelines.scorers.surprise_head import HeadTraining, train_head
from stepforge.schemas.labeled import LabeledProblem

LABELERS: dict[str, Labeler] = {
    "change_point": ChangePoint(),
    "change_point, nothing free": ChangePoint(surprise=False, siblings=False, stated=False),
    "oracle": Oracle(),
}
CONTROLS = {"no training: the least expected token": 0, "no training: the least expected token of a number": 1}
"""With the first of the token groups that they look at."""
SEEDS = (1, 2, 3)
MOST = 4
"""Most erroneous and most clean solutions of a problem that are examined."""
Read = dict[Text, torch.Tensor]
Scores = Sequence[Sequence[float]]


class Exam:
    """Solutions of some problems, their truth, and how the policy reads them."""

    def __init__(self, problems: Sequence[BenchProblem], read: Read) -> None:
        cases = exam([solved_part(p.row) for p in problems], MOST)
        self.answers = Answers(cases, len(problems))
        self.read = [read[case.text] for case in cases]

    def tally(self, scores: Scores, chosen: "Exam", chosen_scores: Scores) -> Tally:
        """Return the verdicts of scores at the threshold with the highest F1 on another exam."""
        threshold = chosen.answers.best_threshold(padded_scores(chosen_scores))
        return self.answers.tally(padded_scores(scores), threshold)


def labels_of(part: Labeler, problems: Sequence[BenchProblem]) -> list[LabeledProblem]:
    """Return a labeler's labels, its rates pooled from the first problems as in a run: no truth is used."""
    if isinstance(part, ChangePoint):
        part = part.with_rates(part.fitted_rates(labeled_rows(part, problems[: part.fit_problems], SEEDS[0])))
    return labeled_rows(part, problems, SEEDS[0])


def read_all(problems: Sequence[BenchProblem], model: str) -> Read:
    found = sorted({text for p in problems for text in texts(solved_part(p.row))})
    return dict(zip(found, read_solutions(Surprise(model=model, dtype="float32"), found), strict=True))


def lowest_chance(reading: torch.Tensor, first: int = 0) -> list[float]:
    """Return, for each step, the probability of its least expected token, of the groups from ``first`` on."""
    lowest = reading[:, first * len(OF_GROUP) : len(GROUPS) * len(OF_GROUP) : len(OF_GROUP)].min(-1).values
    return torch.exp(-torch.expm1(lowest.abs()) / 5).tolist()  # type: ignore[no-any-return]


def tallies(problems: Sequence[BenchProblem], read: Read) -> dict[str, list[Tally]]:
    """Return, by labels, for each seed, what happened to the problems' solutions, family by family."""
    labels = {name: labels_of(part, problems) for name, part in LABELERS.items()}
    found: dict[str, list[list[Tally]]] = {name: [] for name in (*CONTROLS, *labels)}
    for family in sorted({p.family for p in problems}):
        dev = [p.family != family and _for_threshold(p) for p in problems]
        learned = [p.family != family and not _for_threshold(p) for p in problems]
        chosen, judged = (
            Exam(list(compress(problems, kept)), read) for kept in (dev, [p.family == family for p in problems])
        )
        for control, first in CONTROLS.items():
            least, of_chosen = ([lowest_chance(r, first) for r in one.read] for one in (judged, chosen))
            found[control].append([judged.tally(least, chosen, of_chosen)] * len(SEEDS))
        for name, rows in labels.items():
            found[name].append([_trained(list(compress(rows, learned)), read, chosen, judged, seed) for seed in SEEDS])
    return {name: [joined(by_family) for by_family in zip(*parts, strict=True)] for name, parts in found.items()}


def _for_threshold(problem: BenchProblem) -> bool:
    return sha256(problem.row.problem.group.encode()).digest()[0] % 5 == 0


def _trained(labels: Sequence[LabeledProblem], read: Read, chosen: Exam, judged: Exam, seed: int) -> Tally:
    rows = [row for row in targets(labels) if row[0] in read]  # the oracle judges those without an outcome too
    head = train_head([read[text] for text, _ in rows], [target for _, target in rows], HeadTraining(), seed)
    return judged.tally(head.read_scores(judged.read), chosen, head.read_scores(chosen.read))


def joined(parts: Sequence[Tally]) -> Tally:
    return Tally(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def main(recording: Annotated[Path, typer.Option()], model: str = "embedded-free") -> None:
    """Train, examine, and print F1 by labels, and how far it is from that of each untrained control."""
    torch.set_num_threads(1)
    problems = bench_problems(recording)
    drawn = resamples([True] * len(problems), 1000, SEEDS[0])
    found = tallies(problems, read_all(problems, model))
    samples = {name: np.mean([tally.f1(drawn) for tally in by_seed], axis=0) for name, by_seed in found.items()}
    for name, f1 in samples.items():
        own, low, high = interval(f1)
        gaps = [interval(f1 - samples[control]) for control in CONTROLS]
        shown = ", ".join(f"{gap:+.3f} ({least:+.3f} to {most:+.3f})" for gap, least, most in gaps)
        print(f"{name}: F1 {own:.3f} ({low:.3f} to {high:.3f}); against the controls {shown}")


if __name__ == "__main__":
    typer.run(main)
