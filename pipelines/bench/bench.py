"""``stepforge bench labelers``: record once, replay every labeler at every budget under every seed, measure, write."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stepforge.labelers import ChangePoint, MathShepherd, PooledLabeler
from stepforge.labelers.contracts import with_rates
from stepforge.pipelines.bench.cases import (
    ABLE,
    PROSE,
    WEAK,
    BenchProblem,
    Outcome,
    bench_problem,
    labeled_rows,
    replay,
    two_parts,
)
from stepforge.pipelines.bench.controls import control_outcomes, controls
from stepforge.pipelines.bench.measure import (
    Key,
    Sums,
    all_comparisons,
    figures,
    primary_comparison,
    resamples,
    sizes,
    sums,
)
from stepforge.pipelines.bench.page import EACH, bench_page
from stepforge.pipelines.bench.settings import BenchFile, read_bench_file
from stepforge.pipelines.bench.values import coverage_curve, estimates, value_figures
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.charts import Bar, bars
from stepforge.pipelines.run.driver import run_all
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import read_shard, shard_metadata
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import rng_of

Say = Callable[[str], None]
FEWEST = 8


class Bench:
    """One bench: its recording, and every labeler's outcomes on it."""

    def __init__(self, settings: BenchFile, problems: Sequence[BenchProblem], say: Say) -> None:
        self.settings = settings
        self.problems = problems
        self.say = say
        self.families = sorted({p.family for p in problems})
        self.outcomes: dict[Key, list[list[Outcome]]] = {}
        """Outcomes of each setting, for each seed."""

    def run(self) -> dict[str, Any]:
        self._replay_all()
        totals = {key: sums(by_seed, self.problems) for key, by_seed in self.outcomes.items()}
        wording = next(w for w in ("free", "long", "plain", PROSE) if any(p.wording == w for p in self.problems))
        weights = self._weights(wording=wording)
        primary = primary_comparison(totals, weights, self.settings.primary)
        rival = (primary["rival"], primary["rival_setting"])
        return {
            "problems": {f: sum(p.family == f for p in self.problems) for f in self.families},
            "primary": {"wording": wording, "stratum": "all", **primary},
            "comparisons": all_comparisons(totals, weights, rival),
            "coverage": [*self._coverage()],
            "reused": self._reused(),
            "rows": [*self._rows(totals)],
        }

    def without(self, part: PooledLabeler, family: str) -> Record:
        """Return the rates that a run on the other families would pool."""
        others = [p for p in self.problems if p.family != family]
        chosen = rng_of(self.settings.seeds[0], "pilot", family).sample(
            others, min(self.settings.fit_problems, len(others))
        )
        return part.fitted_rates(labeled_rows(part, chosen, self.settings.seeds[0]))

    def _replay_all(self) -> None:
        for sweep in self.settings.sweep:
            # Rates belong to a policy, not to a budget: fitted once, with the most data.
            fullest = sweep.part(max(sweep.at))
            pooled = isinstance(fullest, PooledLabeler)
            rates = {f: self.without(fullest, f) for f in self.families} if pooled else {}
            for budget in sweep.at:
                part = sweep.part(budget)
                self._keep((sweep.title, budget), [self._replayed(part, rates, seed) for seed in self.settings.seeds])
        by_seed = [controls(self.problems, seed) for seed in self.settings.seeds]
        for name in by_seed[0]:
            self._keep((name, None), [control_outcomes(self.problems, name, named[name]) for named in by_seed])

    def _replayed(self, part: Any, rates: dict[str, Record], seed: int) -> Iterator[Outcome]:
        """Yield the outcome of each problem, its family's rates learned from the other families."""
        found: dict[int, Outcome] = {}
        for family in self.families:
            own = [i for i, p in enumerate(self.problems) if p.family == family]
            chosen = with_rates(part, rates[family]) if rates else part
            found |= zip(own, replay(chosen, [self.problems[i] for i in own], seed), strict=True)  # type: ignore[arg-type]
        yield from (found[i] for i in range(len(self.problems)))

    def _keep(self, key: Key, by_seed: Iterable[Iterable[Outcome]]) -> None:
        began = time.monotonic()
        self.outcomes[key] = [list(outcomes) for outcomes in by_seed]
        self.say(f"{key[0]}{'' if key[1] is None else f' {key[1]:g}'}: {time.monotonic() - began:.1f} s")

    def _weights(self, wording: str, stratum: str = "all", family: str | None = None) -> Any:
        members = [p.wording == wording and stratum in p.strata and family in (None, p.family) for p in self.problems]
        return resamples(members, self.settings.bootstrap, 1)

    def _rows(self, totals: dict[Key, Sums]) -> Iterator[dict[str, Any]]:
        """Yield a row for each setting and wording; of what is compared, one for each stratum and family too."""
        stated = self.settings.primary
        compared = {(s.labeler, s.at) for s in (stated.labeler, *stated.rivals, *stated.beside)}
        for wording in sorted({p.wording for p in self.problems}):
            parts = [(EACH, s, None) for s in (ABLE, WEAK)] + [(f, "all", f) for f in self.families]
            for left_out, stratum, family in [(EACH, "all", None), *parts]:
                weights = self._weights(wording, stratum, family)
                for key, total in totals.items():
                    whole = (left_out, stratum) == (EACH, "all")
                    if weights[0].any() and (whole or key in compared):
                        head = {"labeler": key[0], "setting": key[1], "wording": wording, "left_out": left_out}
                        counts = sizes(total, weights, len(self.settings.seeds))
                        yield {**head, "stratum": stratum, **counts, **figures(total, weights, whole=whole)}

    def _coverage(self) -> Iterator[dict[str, object]]:
        """Yield how sure each setting with a posterior is, and how right."""
        for (labeler, setting), by_seed in self.outcomes.items():
            found = coverage_curve([[j for one in same for j in one.judged] for same in zip(*by_seed, strict=True)])
            if found["solutions"]:
                yield {"labeler": labeler, "setting": setting, **found}

    def _reused(self) -> dict[str, float]:
        shares = {}
        for (labeler, setting), by_seed in self.outcomes.items():
            again = sum(o.reused for outcomes in by_seed for o in outcomes)
            drawn = sum(o.cost.rollouts for outcomes in by_seed for o in outcomes)
            if again:
                shares[f"{labeler} {setting:g}"] = round(again / drawn, 4)
        return shares


def record(settings: BenchFile, folder: Path, say: Say) -> None:
    runs = {"recording": settings.recording}
    if settings.values is not None:
        v = settings.values
        part = MathShepherd(k=v.truth + max(v.counts))
        update = {"problems": v.problems, "seed": v.seed, "label": (part,), "rows_per_shard": 4}
        runs["values"] = settings.recording.model_copy(update=update)
    for name, run in runs.items():
        say(f"{name}: {folder / name}")
        preflight(run)
        run_all(run, folder / name)


def measured_values(bench: Bench, folder: Path) -> list[dict[str, float]]:
    """Return how far estimates of V are from the truth of the second recording, each family under others' rates."""
    v = bench.settings.values
    if v is None:
        return []
    rates = {family: bench.without(ChangePoint(), family) for family in bench.families}
    recorded = recorded_problems(folder)
    whole = any(p.family in rates for p in recorded)
    problems = [p for p in (recorded if whole else two_parts(recorded)) if p.family in rates]
    rows = []
    for count in v.counts:
        parts = {family: ChangePoint().with_rates(found) for family, found in rates.items()}
        found = [e for p in problems for e in estimates(p.row, count, v.truth, parts[p.family])]
        if found:
            rows.append({"completions_per_prefix": count, **value_figures(found)})
    return rows


def bench_problems(*folders: Path) -> list[BenchProblem]:
    """Return the problems of all, a single family as two."""
    return two_parts([problem for folder in folders for problem in recorded_problems(folder)])


def recorded_problems(folder: Path) -> list[BenchProblem]:
    """Return the problems of a finished run, or of one labeled shard, that are labeled densely enough and carry a
    truth."""
    shards = [folder] if folder.is_file() else Layout(folder).shards("label")
    rows = (row for path in shards for row in read_shard(path, LabeledProblem))
    return [problem for problem in map(bench_problem, rows) if problem is not None]


def check_recording(path: Path) -> None:
    """Raises BadInput: it is neither a run nor a shard of labels."""
    if not path.is_file():
        open_run(path)
        return
    try:
        stage = shard_metadata(path).get("stage")
    except RunFailed:
        stage = None
    if stage != "label":
        raise BadInput(f"{path}: not a labeled shard; give a finished run, or a file of its label stage")


def bench_labelers(
    config: Path, folder: Path, target: Path, *, say: Say, recordings: Sequence[Path] = ()
) -> tuple[dict[str, Any], str]:
    """Do the bench; write its figures to ``target``, a page and a picture next to it; return the result and the page.

    ``recordings`` are finished runs, or labeled shards, to replay instead of recording; values are measured if
    ``folder`` has them.

    Raises:
        BadInput: the settings, the engine or the run are not usable; nothing was started.
        RunFailed: a recording failed; finished work is kept.
    """
    settings = read_bench_file(config)
    for path in recordings:
        check_recording(path)
    if not recordings:
        record(settings, folder, say)
    problems = bench_problems(*(recordings or [folder / "recording"]))
    replayed = ", ".join(map(str, recordings))
    if len(problems) < FEWEST or len({p.family for p in problems}) < 2:
        kept = f"{len(problems)} problems with a truth and completions of every prefix"
        if recordings:
            raise BadInput(f"{replayed}: {kept}; make a recording of {FEWEST} with stepforge record")
        raise RunFailed(f"{folder}: {kept} are too few; raise problems")
    if all(truth.first_error is None for problem in problems for truth in problem.truths):
        raise BadInput(f"{replayed or folder}: no first error is known: neither people nor the oracle name one")
    bench = Bench(settings, problems, say)
    result = bench.run()
    values = folder / "values"
    result["values"] = measured_values(bench, values) if not recordings or values.is_dir() else []
    write_result(result, target)
    wording = result["primary"]["wording"]
    drawing = target.with_suffix(".svg")
    title = f"First wrong step named exactly, tokens per solution; {wording} wording"
    drawing.write_text(bars(title, pictured(result["rows"], wording)), encoding="utf-8")
    page = target.with_suffix(".md")
    page.write_text(bench_page(result) + "\n", encoding="utf-8")
    say(f"wrote {target}, {page} and {drawing}")
    return result, bench_page(result)


def pictured(rows: Sequence[dict[str, Any]], wording: str) -> list[Bar]:
    whole = [r for r in rows if (r["wording"], r["stratum"], r["left_out"]) == (wording, "all", EACH)]
    found = []
    for row in sorted(whole, key=lambda r: r["total_tokens_per_solution"] or 0):
        low, high = row["first_error_accuracy_interval"] or (None, None)
        name = row["labeler"] + ("" if row["setting"] is None else f", {row['setting']:g}")
        note = f"{row['total_tokens_per_solution'] or 0:,.0f}"
        found.append(Bar(name, row["first_error_accuracy"] or 0.0, low, high, note))
    return found


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write the result, one row per line, so diffs are readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = {key: [json.dumps(one) for one in result[key]] for key in ("coverage", "comparisons", "rows")}
    rest = {key: value for key, value in result.items() if key not in lines}
    text = json.dumps(rest, indent=1)[:-2]
    for key, rows in lines.items():
        text += f',\n "{key}": [\n  ' + ",\n  ".join(rows) + "\n ]"
    path.write_text(text + "\n}\n", encoding="utf-8")
