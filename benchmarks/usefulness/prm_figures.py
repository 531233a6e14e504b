"""Tables of the reward models: F1 and step AUC of every arm with intervals, differences, best-of-N."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.usefulness.prm_bench import UNTRAINED, Examined, Reader, Trained, by_arm
from benchmarks.usefulness.resampling import Array, averaged, estimate, f1_samples, mean_samples, weights
from benchmarks.usefulness.result import BestOfNRow, GapRow, ModelRow
from benchmarks.usefulness.settings import UsefulnessFile
from stepforge.pipelines.scoring.best_of_n import (
    AGGREGATORS,
    Ballot,
    any_right,
    ballot,
    best,
    choices,
    majority,
    weighted,
)
from stepforge.schemas.rollout import Rollout, SolvedProblem

HELD_OUT = "held-out families"
SIZES = (1, 2, 4, 8, 16, 32, 64)


class PrmFigures:
    """Turns results into rows; the same resampled problems for every arm."""

    def __init__(self, settings: UsefulnessFile, problems: dict[str, int]) -> None:
        self.settings = settings
        self.drawn = {name: weights(count, settings.bootstrap, settings.seed) for name, count in problems.items()}

    def f1(self, examined: Sequence[dict[str, Examined]], name: str) -> Array:
        """Return resampled F1 in an exam; over held-out families it is the mean of each family's, as ProcessBench's
        average over its subsets."""
        if name == HELD_OUT:
            return averaged([self.f1(examined, family) for family in self.settings.held_out])
        return f1_samples([e[name].tally for e in examined], self.drawn[name])

    def auc(self, examined: Sequence[dict[str, Examined]], name: str) -> Array:
        """Return the resampled mean over problems of the AUC of steps."""
        if name == HELD_OUT:
            return averaged([self.auc(examined, family) for family in self.settings.held_out])
        return mean_samples([e[name].aucs for e in examined], self.drawn[name])

    def names(self) -> list[str]:
        """Return the exams, the held-out families together first."""
        return [HELD_OUT, *self.settings.exam, "dev"]

    def rows(self, trained: Sequence[Trained], control: dict[str, Examined]) -> list[ModelRow]:
        found = [self._row("", UNTRAINED, name, [control]) for name in self.names()]
        for (condition, labels), models in by_arm(trained).items():
            cost = {
                "problems": round(float(np.mean([m.arm.problems for m in models])), 1),
                "training_solutions": round(float(np.mean([len(m.arm.rows) for m in models])), 1),
                "labeling_tokens": round(float(np.mean([m.arm.labeling_tokens for m in models]))),
                "sampling_tokens": round(float(np.mean([m.arm.sampling_tokens for m in models]))),
                "exhausted": all(m.arm.exhausted for m in models),
                "thresholds": tuple(round(m.threshold, 3) for m in models),
            }
            rows = [self._row(condition, labels, name, [m.examined for m in models]) for name in self.names()]
            found += [row.model_copy(update=cost) for row in rows]
        return found

    def _row(self, condition: str, labels: str, exam: str, examined: list[dict[str, Examined]]) -> ModelRow:
        return ModelRow(
            condition=condition,
            labels=labels,
            exam=exam,
            f1=estimate(self.f1(examined, exam)).rounded(),
            step_auc=estimate(self.auc(examined, exam)).rounded(),
            f1_by_seed=tuple(round(float(self.f1([e], exam)[0]), 4) for e in examined),
        )

    def differences(self, trained: Sequence[Trained]) -> list[GapRow]:
        """Return F1 of the reference labels less that of each other, in the same condition and exam; the oracle's is
        that of the whole pool where the condition has it so."""
        arms = by_arm(trained)
        found = []
        for (condition, labels), models in arms.items():
            if labels == self.settings.reference:
                continue
            ours = [m.examined for m in arms[condition, self.settings.reference]]
            for exam in self.names():
                gap = self.f1(ours, exam) - self.f1([m.examined for m in models], exam)
                found.append(GapRow(condition=condition, against=labels, exam=exam, difference=estimate(gap).rounded()))
        return found


class BestOfN:
    """Best-of-N on the pools with many solutions a problem."""

    def __init__(self, settings: UsefulnessFile, pools: dict[str, list[SolvedProblem]], reader: Reader) -> None:
        self.settings = settings
        self.pools = {name: pools[name] for name in settings.many}
        self.ballots = {name: [ballot(row) for row in rows] for name, rows in self.pools.items()}
        self.read: dict[str, dict[tuple[str, str], Any]] = {}
        for name, rows in self.pools.items():
            steps = {(row.problem.question, r.text): r.steps for row in rows for r in row.rollouts if r.steps}
            solutions = [(key[0], tuple(step.text.rstrip("\n") for step in cut)) for key, cut in steps.items()]
            self.read[name] = dict(zip(steps, reader.of(name, solutions), strict=True))

    def rows(self, models: dict[str, list[Trained]]) -> list[BestOfNRow]:
        """Return a row for each pool, N and way to choose; ``models`` are the arms that are compared."""
        found = []
        for name in self.pools:
            drawn = weights(len(self.ballots[name]), self.settings.bootstrap, self.settings.seed)
            for label, by_seed in self._ways(name, models).items():
                for n, shares in by_seed.items():
                    share = estimate(mean_samples(shares, drawn)).rounded()
                    found.append(BestOfNRow(pool=name, n=n, way=label, share_right=share))
        return found

    def _ways(self, name: str, models: dict[str, list[Trained]]) -> dict[str, dict[int, list[Array]]]:
        ways = {
            "any right": self._curve(name, lambda b, chosen, i: any_right(b, chosen)),
            "majority": self._curve(name, lambda b, chosen, i: majority(b, chosen)),
        }
        for labels, trained in models.items():
            for aggregator in AGGREGATORS:
                curves = [self._scored(name, model, aggregator) for model in trained if model.head is not None]
                for way in ("weighted votes", "best"):
                    merged = {n: [c[way][n] for c in curves] for n in SIZES if curves and n in curves[0][way]}
                    ways[f"{way}, {aggregator}: {labels}"] = merged
        return ways

    def _scored(self, name: str, model: Trained, aggregator: str) -> dict[str, dict[int, Array]]:
        scores = self._weights(name, model, aggregator)
        votes = self._curve(name, lambda b, chosen, i: weighted(b, chosen, scores[i]))
        alone = self._curve(name, lambda b, chosen, i: best(b, chosen, scores[i]))
        return {"weighted votes": {n: v[0] for n, v in votes.items()}, "best": {n: v[0] for n, v in alone.items()}}

    def _weights(self, name: str, model: Trained, aggregator: str) -> list[Array]:
        """Return the weight of every solution of every problem; one that broke off weighs nothing."""
        if model.head is None:
            raise ValueError("an arm without a model has no weights")
        read = self.read[name]
        scored = dict(zip(read, model.head.read_scores(list(read.values())), strict=True))
        turn = AGGREGATORS[aggregator]

        def weight(row: SolvedProblem, rollout: Rollout) -> float:
            whole = rollout.finish == "stop" and rollout.steps
            return turn(scored[row.problem.question, rollout.text]) if whole else 0.0

        return [np.array([weight(row, r) for r in row.rollouts]) for row in self.pools[name]]

    def _curve(self, name: str, share: Any) -> dict[int, list[Array]]:
        found: dict[int, list[Array]] = {}
        for n in SIZES:
            shares = []
            for i, (row, votes) in enumerate(zip(self.pools[name], self.ballots[name], strict=True)):
                if n > len(row.rollouts):
                    break
                shares.append(share(votes, self._choices(votes, n, row.problem.id), i))
            if len(shares) == len(self.ballots[name]):
                found[n] = [np.array(shares)]
        return found

    def _choices(self, votes: Ballot, n: int, problem: str) -> Any:
        return choices(len(votes.texts), n, self.settings.draws, problem)


def compared(trained: Sequence[Trained], condition: str) -> dict[str, list[Trained]]:
    return {labels: models for (where, labels), models in by_arm(trained).items() if where == condition}
