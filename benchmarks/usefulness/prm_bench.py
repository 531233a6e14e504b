"""The reward models: one for each arm, examined on problems that no label comes from."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.usefulness.arms import Arm
from benchmarks.usefulness.kept import digest_of
from benchmarks.usefulness.prm_exam import Answers, Array, Case, Tally, exam, padded_scores
from benchmarks.usefulness.prm_rows import PrmRow
from stepforge.pipelines.commands.train_scorer import read_solutions
from stepforge.pipelines.scorers.surprise import FEATURES, GROUPS, OF_GROUP, Surprise
from stepforge.pipelines.scorers.surprise_head import HeadTraining, SurpriseHead, train_head
from stepforge.schemas.errors import BadInput
from stepforge.schemas.rollout import SolvedProblem

UNTRAINED = "no training: the least expected token"
UNTRAINED_NUMBERS = "no training: the least expected token of a number"
Say = Callable[[str], None]
Read = list[torch.Tensor]
Pools = dict[str, list[SolvedProblem]]


class Examined(NamedTuple):
    """What one model did in one exam."""

    tally: Tally
    aucs: Array


class Exams:
    """The dev exam and the others, with the policy's reading of every solution."""

    def __init__(
        self, pools: dict[str, list[SolvedProblem]], names: Sequence[str], most: int, reader: "Reader"
    ) -> None:
        self.cases: dict[str, list[Case]] = {name: exam(pools[name], most) for name in ("dev", *names)}
        self.problems = {name: len(pools[name]) for name in self.cases}
        self.answers = {name: Answers(cases, self.problems[name]) for name, cases in self.cases.items()}
        self.read = {name: reader.of(name, [(c.question, c.steps) for c in cs]) for name, cs in self.cases.items()}

    def judge(self, scored: dict[str, list[list[float]]]) -> tuple[float, dict[str, Examined]]:
        """Return the threshold that is best on dev, and what it gives in every exam."""
        scores = {name: padded_scores(given) for name, given in scored.items()}
        threshold = self.answers["dev"].best_threshold(scores["dev"])
        found = {}
        for name, answers in self.answers.items():
            found[name] = Examined(answers.tally(scores[name], threshold), answers.step_aucs(scores[name]))
        return threshold, found


class Reader:
    """The frozen policy's reading of solutions, kept on disk."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.say = say

    def of(self, name: str, solutions: Sequence[tuple[str, Sequence[str]]]) -> Read:
        named = json.dumps([FEATURES, *((question, list(steps)) for question, steps in solutions)])
        path = self.folder / f"{name}-{digest_of(named)}.pt"
        if not path.exists():
            self.say(f"reading {len(solutions)} solutions of {name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".tmp")
            torch.save(read_solutions(Surprise(dtype="float32"), solutions), beside)
            beside.replace(path)
        read: Read = torch.load(path, weights_only=True)
        return read


class Trained(NamedTuple):
    """One arm's model and its results."""

    arm: Arm
    head: SurpriseHead | None
    """None where the arm had no step to learn from: every step is then taken for right."""
    threshold: float
    examined: dict[str, Examined]


def train_arms(arms: Iterable[Arm], exams: Exams, reader: Reader, folder: Path, say: Say) -> list[Trained]:
    """Train a surprise head on every arm, or take the one kept in ``folder``, and examine it."""
    arms = list(arms)
    unique = sorted({(row.prompt, row.completions) for arm in arms for row in arm.rows})
    known = dict(zip(unique, reader.of("train", unique), strict=True))
    done: dict[str, Trained] = {}
    found: list[Trained] = []
    for arm in arms:
        rows = sorted(arm.rows, key=_line)
        # Labels that cost little are the same under every budget that pays for the whole pool.
        name = digest_of(str(arm.seed), HeadTraining().model_dump_json(), *FEATURES, *map(_line, rows))
        if name not in done:
            head = _head(rows, [known[row.prompt, row.completions] for row in rows], arm.seed, folder / name)
            scores = {exam: _scores(head, read) for exam, read in exams.read.items()}
            done[name] = Trained(arm, head, *exams.judge(scores))
            if len(done) % 20 == 0:
                say(f"{len(done)} reward models, {len(found)} of {len(arms)} arms")
        found.append(done[name]._replace(arm=arm))
    return found


def _line(row: PrmRow) -> str:
    return row.model_dump_json()


def _head(rows: list[PrmRow], read: Read, seed: int, folder: Path) -> SurpriseHead | None:
    if SurpriseHead.kept(folder):
        return SurpriseHead.load(folder)
    try:
        head = train_head(read, [row.labels for row in rows], HeadTraining(), seed)
    except BadInput:  # a budget that pays for nothing, or labels that all abstain
        return None
    head.save(folder)
    return head


def lowest_chance(reading: torch.Tensor, first: int = 0) -> list[float]:
    """Return, for each step, the probability of its least expected token, of the groups from ``first`` on."""
    lowest = reading[:, first * len(OF_GROUP) : len(GROUPS) * len(OF_GROUP) : len(OF_GROUP)].min(-1).values
    return torch.exp(-torch.expm1(lowest.abs()) / 5).tolist()  # type: ignore[no-any-return]


def untrained(exams: Exams) -> dict[str, Examined]:
    """Return what the chance of the least expected token does as a score, with nothing trained but the threshold."""
    return exams.judge({name: [lowest_chance(r) for r in read] for name, read in exams.read.items()})[1]


def by_arm(trained: Sequence[Trained]) -> dict[tuple[str, str], list[Trained]]:
    """Return the models of each condition and labeler, one a seed."""
    found: dict[tuple[str, str], list[Trained]] = defaultdict(list)
    for model in trained:
        found[model.arm.condition, model.arm.labels].append(model)
    return found


def _scores(head: SurpriseHead | None, read: Read) -> list[list[float]]:
    return [[1.0] * len(reading) for reading in read] if head is None else head.read_scores(read)
