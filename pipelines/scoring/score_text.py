"""What ``stepforge score`` prints."""

from collections.abc import Sequence

from stepforge.pipelines.scoring.best_of_n import Curve
from stepforge.pipelines.scoring.calibration import CalibrationFigures
from stepforge.pipelines.scoring.first_errors import FirstErrors
from stepforge.pipelines.scoring.prm_bench import PrmScore
from stepforge.pipelines.scoring.probes import Probes
from stepforge.pipelines.scoring.score import Scoring
from stepforge.pipelines.terminal.tables import shown, table


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
    head = ("category", "steps", "wrong", "F1 right", "F1 wrong", "PRMScore")
    return table(head, ((p.name, p.steps, p.wrong_steps, p.right_f1, p.wrong_f1, p.score) for p in found))


def _first_errors(found: FirstErrors) -> str:
    head = ("subset", "erroneous", "clean", "error acc", "correct acc", "F1 (95 %)")
    rows: list[tuple[object, ...]] = []
    for s in found.subsets:
        interval = f" ({s.low:.1f} to {s.high:.1f})" if s.low is not None else ""
        rows.append((s.subset, s.erroneous, s.clean, s.error_accuracy, s.correct_accuracy, shown(s.f1) + interval))
    rows.append(("average", "", "", "", "", found.average_f1))
    rule = found.chosen_on if found.threshold is None else f"threshold {found.threshold:.6g}, {found.chosen_on}"
    problems = "" if found.step_auc is None else f" ({found.step_auc_problems} problems)"
    return f"{table(head, rows)}\n{rule}\nAUC of steps within a problem: {shown(found.step_auc)}{problems}"


def _calibration(found: CalibrationFigures) -> str:
    rows = ((f"{b.low:.1f}", b.steps, b.mean_score, b.share_right) for b in found.table)
    line = (
        f"calibration on the held-out half ({found.steps} steps): ECE {found.ece:.3f}, calibrated "
        f"{found.ece_calibrated:.3f}; Brier {found.brier:.3f}, calibrated {found.brier_calibrated:.3f}"
    )
    setting = f"calibration = {{ slope = {found.calibration.slope}, intercept = {found.calibration.intercept} }}"
    return f"{line}\n{table(('score from', 'steps', 'mean score', 'right'), rows)}\nfor a run file: {setting}"


def _best_of_n(found: Sequence[Curve]) -> str:
    sizes = list(found[0].right)
    rows = (
        (c.chosen_by, *(c.right[n] for n in sizes), "falls from its peak" if c.over_optimized else "") for c in found
    )
    return "best of N, share of problems right\n" + table(("chosen by", *map(str, sizes), ""), rows)


def _probes(found: Probes) -> str:
    head = ("probe", "wrong steps", "escaped", "clean solutions", "flagged", "mean shift")
    rows = ((p.probe, p.erroneous, p.escaped, p.clean, p.flagged, p.mean_shift) for p in found.probes)
    a = found.altered
    line = f"one digit changed in {a.steps} right steps: {shown(a.caught)} caught, {shown(a.lower)} scored lower"
    return f"probes at threshold {found.threshold:.6g}\n{table(head, rows)}\n{line}"
