"""What ``stepforge score`` prints."""

from collections.abc import Sequence
from functools import partial

from stepforge.pipelines.reports.text import table
from stepforge.pipelines.scoring.best_of_n import Curve
from stepforge.pipelines.scoring.calibration import CalibrationFigures
from stepforge.pipelines.scoring.first_errors import FirstErrors
from stepforge.pipelines.scoring.prm_bench import PrmScore
from stepforge.pipelines.scoring.probes import Probes
from stepforge.pipelines.scoring.score import Scoring


def scoring_text(found: Scoring) -> str:
    blocks = [f"{found.model} on {found.on}: {found.cases} solutions, {found.tokens:,} tokens read"]
    blocks += [f"not scored: {count} ({reason})" for reason, count in found.unscored.items()]
    blocks.append(_prm_scores(found.prm_scores) if found.prm_scores else _first_errors(found.first_errors))
    if found.calibration is not None:
        blocks.append(_calibration(found.calibration))
    if found.best_of_n:
        blocks.append(_best_of_n(found.best_of_n))
    if found.probes is not None:
        blocks.append(_probes(found.probes))
    return "\n\n".join(blocks)


def _prm_scores(found: Sequence[PrmScore]) -> str:
    titles = ("category", "steps", "wrong", "F1 right", "F1 wrong", "PRMScore")
    rows = [(p.name, str(p.steps), str(p.wrong_steps), *map(_number, (p.right_f1, p.wrong_f1, p.score))) for p in found]
    return table([titles, *rows])


def _first_errors(found: FirstErrors) -> str:
    titles = ("subset", "erroneous", "clean", "error acc", "correct acc", "F1 (95 %)")
    rows = []
    for s in found.subsets:
        interval = f" ({s.low:.1f} to {s.high:.1f})" if s.low is not None else ""
        shares = (_number(s.error_accuracy), _number(s.correct_accuracy), _number(s.f1) + interval)
        rows.append((s.subset, str(s.erroneous), str(s.clean), *shares))
    rows.append(("average", "", "", "", "", _number(found.average_f1)))
    rule = found.chosen_on if found.threshold is None else f"threshold {found.threshold:.6g}, {found.chosen_on}"
    auc = "-" if found.step_auc is None else f"{found.step_auc:.3f} ({found.step_auc_problems} problems)"
    return f"{table([titles, *rows])}\n{rule}\nAUC of steps within a problem: {auc}"


def _calibration(found: CalibrationFigures) -> str:
    rows = [(f"{b.low:.1f}", str(b.steps), f"{b.mean_score:.3f}", f"{b.share_right:.3f}") for b in found.table]
    line = (
        f"calibration on the held-out half ({found.steps} steps): ECE {found.ece:.3f}, calibrated "
        f"{found.ece_calibrated:.3f}; Brier {found.brier:.3f}, calibrated {found.brier_calibrated:.3f}"
    )
    setting = f"calibration = {{ slope = {found.calibration.slope}, intercept = {found.calibration.intercept} }}"
    return f"{line}\n{table([('score from', 'steps', 'mean score', 'right'), *rows])}\nfor a run file: {setting}"


def _best_of_n(found: Sequence[Curve]) -> str:
    sizes = list(found[0].right)
    rows = [
        (c.chosen_by, *(f"{c.right[n]:.3f}" for n in sizes), "falls from its peak" if c.over_optimized else "")
        for c in found
    ]
    return "best of N, share of problems right\n" + table([("chosen by", *map(str, sizes), ""), *rows])


def _probes(found: Probes) -> str:
    titles = ("probe", "wrong steps", "escaped", "clean solutions", "flagged", "mean shift")
    rows = [
        (p.probe, str(p.erroneous), _share(p.escaped), str(p.clean), _share(p.flagged), _number(p.mean_shift, "+.3f"))
        for p in found.probes
    ]
    a = found.altered
    line = f"one digit changed in {a.steps} right steps: {_share(a.caught)} caught, {_share(a.lower)} scored lower"
    return f"probes at threshold {found.threshold:.6g}\n{table([titles, *rows])}\n{line}"


def _number(value: float | None, form: str = ".1f") -> str:
    return "-" if value is None else format(value, form)


_share = partial(_number, form=".2f")
