"""``stepforge bench labelers``: record once, replay every labeler at every budget under every seed, measure, write."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stepforge.labelers import ChangePoint, MathShepherd
from stepforge.labelers.change_point.rates import Rates
from stepforge.labelers.evidence.replay import solved_part
from stepforge.pipelines.bench.bench_text import bench_text
from stepforge.pipelines.bench.cases import UNVETTED, VETTED, BenchProblem, Outcome, bench_problem, replay
from stepforge.pipelines.bench.controls import (
    agreement_outcomes,
    control_outcomes,
    controls,
    fusion_outcomes,
    judge_outcomes,
)
from stepforge.pipelines.bench.coverage import coverage_curve
from stepforge.pipelines.bench.measure import Sums, as_row, counted, difference, figures, mean_sums, resamples, sums
from stepforge.pipelines.bench.picture import curves_of, picture
from stepforge.pipelines.bench.replay import RecordedGrader, RecordedPolicy
from stepforge.pipelines.bench.settings import BenchFile, Sweep, read_bench_file
from stepforge.pipelines.bench.values import estimates, value_figures
from stepforge.pipelines.run.driver import run_all
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem

Say = Callable[[str], None]
REFERENCE = ("change_point", 16.0)
"""What differences are taken from."""
POOLING_BUDGET = 16
VALUE_SEED = 5
FUSED = "fusion: change_point and judge"
AGREED = "consensus: change_point and judge"
AGREED_MC = "consensus: omega_prm and judge"


class Bench:
    """One bench: its recordings, and what every labeler did with them."""

    def __init__(self, settings: BenchFile, folder: Path, say: Say) -> None:
        self.settings = settings
        self.seeds = settings.seeds
        self.folder = folder
        self.say = say
        self.problems: list[BenchProblem] = []
        self.rates: dict[tuple[bool, bool], Rates] = {}
        """Fitted rates: (with log-probabilities, with rollouts that pass through)."""
        self.outcomes: dict[tuple[str, float | None], list[list[Outcome]]] = {}
        """Per setting, a list of outcomes for each seed."""

    def run(self) -> dict[str, Any]:
        """Do everything and return the result."""
        began = time.monotonic()
        self.record()
        recorded = time.monotonic()
        self.load()
        self.pool()
        self.replay_all()
        totals = {key: mean_sums([self._sums(o) for o in seeds]) for key, seeds in self.outcomes.items()}
        result = {
            "problems": self._composition(),
            "rates": {
                "all free signals": self.rates[True, True].model_dump(),
                "no log-probabilities": self.rates[False, True].model_dump(),
                "nothing free": self.rates[False, False].model_dump(),
            },
            "rows": self._rows(totals),
            "differences": self._differences(totals),
            "coverage": self._coverage(),
            "values": self._values(),
        }
        ended = time.monotonic()
        result["seconds"] = {"recording": round(recorded - began), "replay": round(ended - recorded)}
        return result

    def record(self) -> None:
        """Make the recordings, or what is missing of them."""
        for name, run in (("recording", self.settings.recording), ("values", self._value_run())):
            self.say(f"{name}: {self.folder / name}")
            preflight(run)
            run_all(run, self.folder / name)

    def load(self) -> None:
        """Read the recorded problems."""
        s = self.settings
        rows = _rows(self.folder / "recording")
        self.problems = [bench_problem(row, s.held_out_families, s.longest_chain, s.recording.seed) for row in rows]
        if not any("tuning" in p.slices for p in self.problems) or len(self.problems) < 8:
            raise RunFailed(f"{self.folder}: {len(self.problems)} recorded problems are too few; raise problems")

    def pool(self) -> None:
        """Fit the rates, as a run does on its pilot, to what the search itself would ask on the tuning problems."""
        tuning = [p for p in self.problems if "tuning" in p.slices]
        for surprise, passing in ((True, True), (False, True), (False, False), (True, False)):
            part = ChangePoint(budget=POOLING_BUDGET, surprise=surprise, passing=passing)
            self.rates[surprise, passing] = part.fitted_rates([_label(part, p, self.seeds[0]) for p in tuning])

    def replay_all(self) -> None:
        """Run every labeler at every budget under every seed."""
        for sweep in self.settings.sweep:
            for budget in sweep.at:
                part = self._pooled(sweep.part(budget), sweep)
                self._keep((sweep.title, budget), [replay(part, self.problems, seed) for seed in self.seeds])
        if any(entry.labeler == "judge" for p in self.problems for entry in p.row.costs):
            self._replay_judge()
        tuning = [p for p in self.problems if "tuning" in p.slices]
        by_seed = [controls(tuning, seed) for seed in self.seeds]
        for name in by_seed[0]:
            self._keep((name, None), [control_outcomes(self.problems, named[name]) for named in by_seed])

    def _replay_judge(self) -> None:
        for votes in (1, 3, 5):
            self._keep(("judge", float(votes)), [judge_outcomes(self.problems, votes, seed) for seed in self.seeds])
        judge = self.outcomes["judge", 3.0]
        ours, omega = self.outcomes[REFERENCE], self.outcomes.get(("omega_prm", 8.0))
        self._keep((AGREED, 16.0), [agreement_outcomes(AGREED, a, b) for a, b in zip(ours, judge, strict=True)])
        if omega:
            both = zip(omega, judge, strict=True)
            self._keep((AGREED_MC, 8.0), [agreement_outcomes(AGREED_MC, a, b) for a, b in both])
        names = ["change_point", "judge"]
        self._keep(
            (FUSED, 16.0),
            [fusion_outcomes(FUSED, [a, b], names, self.problems) for a, b in zip(ours, judge, strict=True)],
        )

    def _keep(self, key: tuple[str, float | None], by_seed: Iterable[Iterable[Outcome]]) -> None:
        """Compute the outcomes of a setting, for each seed."""
        began = time.monotonic()
        self.outcomes[key] = [list(outcomes) for outcomes in by_seed]
        budget = "" if key[1] is None else f" {key[1]:g}"
        self.say(f"{key[0]}{budget}: {time.monotonic() - began:.1f} s")

    def _sums(self, outcomes: Sequence[Outcome]) -> Sums:
        return sums(outcomes, len(self.problems))

    def _slices(self) -> list[str]:
        return sorted({name for p in self.problems for name in p.slices})

    def _rows(self, totals: dict[tuple[str, float | None], Sums]) -> list[dict[str, Any]]:
        rows = []
        seeds = len(self.seeds)
        for name in self._slices():
            weights = resamples(self.problems, name, self.settings.bootstrap, 1)
            for (labeler, setting), total in totals.items():
                head = {"labeler": labeler, "setting": setting, "split": name}
                rows.append({**head, **counted(total, weights, seeds), **as_row(figures(total, weights))})
        return rows

    def _differences(self, totals: dict[tuple[str, float | None], Sums]) -> list[dict[str, Any]]:
        """The reference's accuracy minus everybody else's, paired, on the held-out slices."""
        ours = totals.get(REFERENCE)
        if ours is None:
            return []
        rows = []
        for name in (s for s in self._slices() if s.startswith("held out")):
            weights = resamples(self.problems, name, self.settings.bootstrap, 1)
            for (labeler, setting), total in totals.items():
                found = difference(ours, total, weights, "first_error_accuracy")
                rows.append(
                    {
                        "labeler": labeler,
                        "setting": setting,
                        "split": name,
                        "change_point_minus_it": found.value,
                        "interval": [found.low, found.high],
                    }
                )
        return rows

    def _coverage(self) -> dict[str, Any]:
        curves = {}
        for name in (s for s in self._slices() if s.startswith("held out")):
            found = self.outcomes.get(REFERENCE)
            if found:
                judged = [
                    j for seed in found for o in seed if name in self.problems[o.problem].slices for j in o.judged
                ]
                curves[name] = coverage_curve(judged)
        return curves

    def _values(self) -> list[dict[str, Any]]:
        s = self.settings
        rows = []
        problems = [
            bench_problem(row, s.held_out_families, s.longest_chain, s.recording.seed)
            for row in _rows(self.folder / "values")
        ]
        for name in ("held out", "all"):
            chosen = [p.row for p in problems if name in p.slices]
            for count in s.values.counts:
                found = [e for row in chosen for e in estimates(row, count, s.values.truth, self.rates[True, True])]
                if found:
                    rows.append({"split": name, "completions_per_prefix": count, **value_figures(found)})
        return rows

    def _composition(self) -> dict[str, int]:
        return {name: sum(name in p.slices for p in self.problems) for name in self._slices()}

    def _pooled(self, part: Any, sweep: Sweep) -> Any:
        if not sweep.pooled:
            return part
        return part.model_copy(update={"rates": self.rates[part.surprise, part.passing]})

    def _value_run(self) -> Any:
        v = self.settings.values
        part = MathShepherd(k=v.truth + max(v.counts))
        update = {"problems": v.problems, "seed": v.seed, "label": (part,), "rows_per_shard": 4}
        return self.settings.recording.model_copy(update=update)


def _label(part: Any, problem: BenchProblem, seed: int) -> LabeledProblem:
    import asyncio

    row = problem.row
    labeled: list[LabeledProblem] = []

    async def label() -> None:  # returns nothing: asyncio.run writes what is returned into an error that it then drops
        labeled.append(await part(solved_part(row), RecordedPolicy(row, seed), RecordedGrader(row), seed=seed))

    asyncio.run(label())
    return labeled[0]


def _rows(folder: Path) -> Iterator[LabeledProblem]:
    for path in Layout(folder).shards("label"):
        yield from read_shard(path, LabeledProblem)


PICTURED = (
    "change_point",
    "change_point, no log-probabilities",
    "omega_prm",
    "omega_prm, curtailed",
    "math_shepherd",
    "sequential, curtailed",
    "amcs",
    "epic_prm",
    "judge",
    FUSED,
)
PRINTED = (f"held out: {VETTED}", f"held out: {UNVETTED}", f"seen families: {VETTED}")


def bench_labelers(config: Path, folder: Path, target: Path, *, say: Say) -> tuple[dict[str, Any], str]:
    """Do the bench; write its figures to ``target`` and the curves beside it; return the result and its text.

    Raises:
        BadInput: the settings or the engine are not usable; nothing was started.
        RunFailed: a recording failed; what is done is kept.
    """
    result = Bench(read_bench_file(config), folder, say).run()
    write_result(result, target)
    curves = curves_of(result["rows"], PRINTED[0], PICTURED)
    drawing = target.with_suffix(".svg")
    drawing.write_text(picture(curves, f"First wrong step named exactly; {PRINTED[0]}"), encoding="utf-8")
    say(f"wrote {target} and {drawing}")
    return result, bench_text(result, PRINTED)


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write the result, a row a line, so that changes can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n  ".join(json.dumps(row) for row in result["rows"])
    rest = {key: value for key, value in result.items() if key != "rows"}
    text = json.dumps(rest, indent=1)[:-2] + f',\n "rows": [\n  {rows}\n ]\n}}\n'
    path.write_text(text, encoding="utf-8")
