"""Rounds: label, train on the data, and label again with the improved policy, so the data stays on-policy.

Every round is a whole run in its own folder, ``DIR/round-01`` and so on, on fresh problems. The command under
``[train]`` of the run file turns a round's data sets and its model into the model of the next; any trainer will do. The
same ``stepforge run --rounds`` resumes where it stopped, in any round.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from stepforge.pipelines.commands.cross_rounds import CROSS_ROUND_PAIRS, write_cross_round_pairs
from stepforge.pipelines.engines import TransformersEngineSettings, VllmEngineSettings
from stepforge.pipelines.engines.model_files import locate
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.report import VETTED_BASE_RATE
from stepforge.pipelines.scorers import AnyScorer, Surprise
from stepforge.pipelines.scorers.surprise import HEAD_FILE
from stepforge.pipelines.scoring.cases import run_cases
from stepforge.pipelines.scoring.first_errors import FirstErrors, first_errors
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.store import AnyPath, write_text
from stepforge.pipelines.terminal.output import say
from stepforge.pipelines.terminal.tables import table
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.interval import Share, wilson
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

RunAll = Callable[[RunFile, Path], Report]
VETTED = f"base rate: at least {VETTED_BASE_RATE}"


class Round(Record):
    number: int
    model: str
    pass_rate: float | None
    """Share of the round's solutions with a right answer, over all problems."""
    pass_low: float | None
    pass_high: float | None
    """Ends of its 95 % Wilson interval, solutions taken as independent."""
    first_error_accuracy: float | None
    """Of the first labeler, where the base rate is at least ``VETTED_BASE_RATE``."""
    correct_solution_accuracy: float | None
    generated_tokens: int
    tokens_per_solution: float | None
    scorer_f1: float | None = None
    """ProcessBench's F1 of the round's reward model against the oracle or people, in percent; threshold learned on half
    of the problems, measured on the other half."""
    scorer_auc: float | None = None
    """AUC of its step scores within a problem."""
    rows: dict[str, int] = Field(default_factory=dict)
    """Training rows by export."""
    cross_round_pairs: int = 0
    """Pairs of this and earlier rounds."""

    @property
    def pass_share(self) -> Share | None:
        if self.pass_rate is None or self.pass_low is None or self.pass_high is None:
            return None
        return Share(share=self.pass_rate, low=self.pass_low, high=self.pass_high)


def run_rounds(run: RunFile, folder: AnyPath, count: int, run_all: RunAll) -> list[Round]:
    """Do ``count`` rounds, training between them; finished work is not repeated."""
    if not isinstance(folder, Path):
        raise BadInput(f"{folder}: --rounds trains models and needs a folder on a local disk")
    if not isinstance(run.engine, VllmEngineSettings | TransformersEngineSettings):
        raise BadInput(f"--rounds: an engine of kind {run.engine.kind} cannot load another model; vllm's can")
    if not run.export:
        raise BadInput("--rounds: nothing is listed under [[export]] to train on")
    model, done, scorer = run.engine.model, [], run.scorer
    for number in range(1, count + 1):
        places = [folder / f"round-{n:02d}" for n in range(1, number + 1)]
        place = places[-1]
        same = number == 1 or run.train.same_problems
        seed = run.seed if same else seed_of(run.seed, "round", number)
        engine = run.engine.model_copy(update={"model": model})
        report = run_all(run.model_copy(update={"engine": engine, "scorer": scorer, "seed": seed}), place)
        pairs = write_cross_round_pairs(places, folder / CROSS_ROUND_PAIRS) if same and number > 1 else 0
        done.append(_round(number, model, report, _scored(place) if scorer else None, pairs))
        write_text(folder / "rounds.json", json.dumps([r.model_dump() for r in done], indent=1) + "\n")
        if number < count:
            model = str(trained(run.train.command, place, model))
            scorer = trained_scorer(scorer, place, model)
    return done


def trained(command: tuple[str, ...], place: Path, model: str) -> Path:
    """Return the model trained on a round's data sets, training it if needed."""
    final, beside, log = place / "model", place / ".model.tmp", place / "train.log"
    if final.exists():
        return final.resolve()
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    values = {
        "python": sys.executable,
        "data": str((place / "datasets").resolve()),
        "model": locate(model),
        "out": str(beside.resolve()),
        "pairs": str((place.parent / CROSS_ROUND_PAIRS).resolve()),
    }
    filled = [re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), part) for part in command]
    say(f"training: {' '.join(filled)}", err=True)
    code = _exit_code(filled, log)
    if code or not (beside / "config.json").exists():
        why = f"ended with {code}" if code else "left no config.json in {out}"
        raise RunFailed(f"train.command {why}; see {log}; run the same command to resume from here")
    beside.rename(final)
    return final.resolve()


def trained_scorer(scorer: AnyScorer | None, place: Path, model: str) -> AnyScorer | None:
    """Return the next round's reward model: a head for the new policy, trained on this round's labels.

    Only ``surprise`` is trained; any other reward model stays as it is.
    """
    if not isinstance(scorer, Surprise):
        return scorer
    folder, log = place / "scorer", place / "train-scorer.log"
    command = [sys.executable, "-m", "stepforge.pipelines.commands.train_scorer", "--prompt", scorer.prompt]
    command += ["--data", str(place / "datasets"), "--model", model, "--out", str(folder)]
    if not (folder / HEAD_FILE).exists():
        say(f"training the reward model: {folder}", err=True)
        if code := _exit_code(command, log):
            raise RunFailed(f"the reward model's training ended with {code}; see {log}")
    return scorer.model_copy(update={"model": model, "head": str(folder.resolve())})


def _exit_code(command: Sequence[str], log: Path) -> int:
    """Run a command to its end, with its output in a log."""
    with log.open("wb") as output:
        return subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603


def _scored(place: Path) -> FirstErrors | None:
    """Return the figures of the round's reward model; None if the truth of no scored solution is known."""
    cases = [case for case in run_cases(str(place), None) if case.scores]
    return first_errors(cases) if cases else None


def _round(number: int, model: str, report: Report, scored: FirstErrors | None, pairs: int) -> Round:
    solved = report.stages.get("solve")
    outcomes = solved.outcomes if solved else {}  # of all problems: vetting comes later
    right, trials = outcomes.get("correct", 0), outcomes.get("correct", 0) + outcomes.get("wrong", 0)
    interval = wilson(right, trials) if trials else (None, None)
    standing = next(iter(report.labelers.values()), None)
    vetted = standing.by.get(VETTED) if standing else None
    return Round(
        number=number,
        model=Path(model).parent.name if Path(model).name == "model" else model,
        pass_rate=right / trials if trials else None,
        pass_low=interval[0],
        pass_high=interval[1],
        first_error_accuracy=vetted.first_error_accuracy if vetted else None,
        correct_solution_accuracy=vetted.correct_solution_accuracy if vetted else None,
        generated_tokens=report.cost.generated_tokens,
        tokens_per_solution=standing.generated_tokens_per_solution if standing else None,
        scorer_f1=scored.average_f1 if scored else None,
        scorer_auc=scored.step_auc if scored else None,
        rows={name: export.rows["train"] for name, export in report.exports.items()},
        cross_round_pairs=pairs,
    )


def rounds_text(rounds: list[Round]) -> str:
    head = ("round", "model", "pass rate (95 %)", "first error", "left clean", "tokens", "label tokens/solution")
    rows: list[tuple[object, ...]] = [
        (
            *(r.number, r.model, r.pass_share, r.first_error_accuracy, r.correct_solution_accuracy),
            *(r.generated_tokens, r.tokens_per_solution, r.scorer_f1, r.scorer_auc),
        )
        for r in rounds
    ]
    scored = any(r.scorer_f1 is not None for r in rounds)
    return table((*head, "scorer F1", "scorer AUC"), rows) if scored else table(head, (row[:-2] for row in rows))
