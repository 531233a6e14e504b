"""``stepforge score MODEL --on WHAT``: a reward model, a judge or a labeler against people's or the oracle's labels."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from stepforge.pipelines.scorers import named_scorer, open_scorer
from stepforge.pipelines.scoring.best_of_n import Curve, curves
from stepforge.pipelines.scoring.calibration import CalibrationFigures, calibration_figures
from stepforge.pipelines.scoring.cases import Case, cases_on, with_recorded
from stepforge.pipelines.scoring.first_errors import FirstErrors, first_errors
from stepforge.pipelines.scoring.prm_bench import RIGHT_ABOVE, PrmScore, prm_scores
from stepforge.pipelines.scoring.probes import Probes, probe_all
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput, RunFailed
from stepforge.schemas.protocols import Scorer
from stepforge.schemas.record import Record


class Scoring(Record):
    model: str
    on: str
    cases: int
    unscored: dict[str, int]
    """Cases without scores, by reason; never exact."""
    tokens: int
    """Tokens that the model read."""
    first_errors: FirstErrors
    prm_scores: tuple[PrmScore, ...] = ()
    """Where every step is labeled."""
    calibration: CalibrationFigures | None
    best_of_n: tuple[Curve, ...]
    probes: Probes | None


class ScoreRequest(Record):
    model: str
    on: str
    shape: str | None = None
    threshold: float | None = None
    limit: int | None = None
    """At most this many cases of each subset."""
    probes: bool = True
    scores_out: Path | None = None
    """Output file for the scores (JSONL)."""


def score(request: ScoreRequest, say: Callable[[str], object]) -> Scoring:
    """Score a model, a file of recorded scores, or a labeler of a run.

    Raises BadInput: the model, the cases or the file cannot be used; RunFailed: the model scored nothing.
    """
    recorded = request.model.endswith(".jsonl")
    run = (Path(request.on) / "run.toml").exists() or "://" in request.on
    labeler = request.model if run and not recorded and not _names_model(request) else None
    cases = _limited(cases_on(request.on, labeler), request.limit)
    every_step = all(case.wrong is not None for case in cases)
    if every_step and request.threshold is None:  # no half is needed to learn one
        request = request.model_copy(update={"threshold": RIGHT_ABOVE})
    unscored: dict[str, int] = defaultdict(int)
    tokens, probes = 0, None
    if recorded:
        cases = with_recorded(cases, Path(request.model))
        if not all(case.scores or case.prediction is not None for case in cases):
            raise BadInput(f"{request.model}: a row holds neither scores nor a prediction")
    if recorded or labeler is not None:
        figures = first_errors(cases, request.threshold)
    else:
        cases, figures, probes, tokens = asyncio.run(_by_model(request, cases, unscored, say))
    if request.scores_out is not None:
        fields = {"id", "subset", "label", "scores", "prediction"}
        lines = [json.dumps(case.model_dump(include=fields, exclude_none=True)) for case in cases]
        write_text(request.scores_out, "\n".join(lines) + "\n")
    has_scores = [case for case in cases if case.scores]
    return Scoring(
        model=request.model,
        on=request.on,
        cases=len(cases),
        unscored=dict(unscored),
        tokens=tokens,
        first_errors=figures,
        prm_scores=tuple(prm_scores(has_scores, request.threshold)) if every_step else (),
        calibration=calibration_figures(has_scores),
        best_of_n=tuple(curves(has_scores)) if labeler is None else (),  # labelers know the answer
        probes=probes,
    )


def _names_model(request: ScoreRequest) -> bool:
    """Whether this is a reward model: a shape is given, or it exists or is known as one."""
    if request.shape is not None or request.model.endswith(".toml") or "/" in request.model:
        return True
    return request.model.startswith("embedded") or Path(request.model).exists()


async def _by_model(
    request: ScoreRequest, cases: list[Case], unscored: dict[str, int], say: Callable[[str], object]
) -> tuple[list[Case], FirstErrors, Probes | None, int]:
    scorer = await open_scorer(named_scorer(request.model, request.shape))
    try:
        say(f"scoring {len(cases)} solutions with {request.model}")
        scored, tokens = await _scored(scorer, cases, unscored)
        if not any(case.scores for case in scored):
            why = next(iter(unscored), "no case has steps")
            raise RunFailed(f"{request.model}: nothing could be scored: {why}")
        figures = first_errors(scored, request.threshold)
        probes = None
        if request.probes and figures.threshold is not None:
            say("probing")
            probes = await probe_all(scorer, scored, figures.threshold)
    finally:
        await scorer.close()
    return scored, figures, probes, tokens


async def _scored(scorer: Scorer, cases: Sequence[Case], unscored: dict[str, int]) -> tuple[list[Case], int]:
    by_problem: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(cases):
        by_problem[case.problem].append(number)
    found, tokens = list(cases), 0
    for problem, numbers in by_problem.items():
        answers = await scorer.score(problem, [cases[i].steps for i in numbers])
        for i, answer in zip(numbers, answers, strict=True):
            if answer.error is not None:
                unscored[answer.error] += 1
            tokens += answer.tokens
            found[i] = cases[i].model_copy(update={"scores": answer.scores, "prediction": None})
    return found, tokens


def _limited(cases: Sequence[Case], limit: int | None) -> list[Case]:
    seen: Counter[str] = Counter()
    kept = []
    for case in cases:
        seen[case.subset] += 1
        if limit is None or seen[case.subset] <= limit:
            kept.append(case)
    return kept
