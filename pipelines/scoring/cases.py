"""Cases to score a reward model on: solutions whose first wrong step is known from people or the oracle."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from stepforge.pipelines.inputs.tables import rows_of
from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.reports.people import known_truth
from stepforge.pipelines.scoring import prm_bench
from stepforge.pipelines.storage.shards import read_rows
from stepforge.pipelines.storage.store import place_of
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem, LabeledSolution, Verdict
from stepforge.schemas.record import Record

PROCESS_BENCH = "processbench"
HUB_NAME = "Qwen/ProcessBench"
HUB_COLUMNS = ("id", "problem", "steps", "label", "final_answer_correct")
SUBSETS = ("gsm8k", "math", "olympiadbench", "omnimath")
NONE = -1
"""No step is wrong: ProcessBench's own code."""


class Case(Record):
    """One solution and the truth about it; field names are ProcessBench's where it has them."""

    id: str
    subset: str = "all"
    problem: str = ""
    """The question."""
    steps: tuple[str, ...] = ()
    label: int = Field(ge=NONE)
    """0-based index of the first wrong step; -1: none."""
    final_answer_correct: bool | None = None
    answer: str | None = None
    """The solution's own final answer, if choosing among solutions is measured."""
    wrong: tuple[int, ...] | None = None
    """0-based indices of all wrong steps, where every step is labeled (PRMBench)."""
    scores: tuple[float, ...] = ()
    """Recorded scores of a reward model."""
    prediction: int | None = None
    """A recorded first wrong step, -1 for none; of a judge or a labeler, which needs no threshold."""
    abstained: bool = False
    """Whether that labeler abstained: never exact."""


def cases_on(where: str, labeler: str | None = None) -> list[Case]:
    """Return the cases of ``processbench`` or ``prmbench`` (the Hub's), of a run, of a JSONL file or a folder of them.

    ``labeler``: of a run, whose verdicts to take as predictions.

    Raises BadInput: there is nothing, it cannot be read, or the run has no such labeler.
    """
    if where == PROCESS_BENCH:
        return [
            Case.model_validate({"subset": subset, **{name: row[name] for name in HUB_COLUMNS}})
            for subset in SUBSETS
            for row in _hub_rows(HUB_NAME, subset)
        ]
    if where == prm_bench.PRM_BENCH:
        rows = _hub_rows(prm_bench.HUB_NAME, "train")
        return _once([Case.model_validate(prm_bench.case_columns(row)) for row in rows])
    place = Path(where)
    if place.is_file():
        return _once(file_cases(place))
    if place.is_dir() and not (place / "run.toml").exists() and (files := sorted(place.glob("*.jsonl"))):
        return _once([case for file in files for case in file_cases(file)])
    if "://" not in where and not place.exists():
        raise BadInput(f"{where}: no such file or folder; give a run folder, a JSONL file, processbench or prmbench")
    found = list(run_cases(where, labeler))
    if not found:
        raise BadInput(f"{where}: no solution whose steps the oracle or people judged")
    if labeler is not None and all(case.prediction is None for case in found):
        raise BadInput(f"{where}: no verdict of {labeler!r}; `stepforge report` lists the run's labelers")
    return found


def file_cases(path: Path) -> list[Case]:
    """Return the rows of a JSONL file with ProcessBench's or PRMBench's columns, or recorded scores.

    Raises BadInput: it cannot be read, or a line is no case; the line names it.
    """
    cases = []
    for number, row in rows_of(path):
        if prm_bench.is_prm_bench(row):
            row = prm_bench.case_columns(row)
        kept = {name: value for name, value in row.items() if name in Case.model_fields and value is not None}
        # ProcessBench's ids begin with the subset; other files are subsets of their own
        known = (name for name in SUBSETS if str(row.get("id", "")).startswith(f"{name}-"))
        kept.setdefault("subset", next(known, path.stem))
        cases.append(_checked(kept, f"{path}, line {number}"))
    if not cases:
        raise BadInput(f"{path}: no rows")
    return cases


def _checked(columns: Mapping[str, object], where: str) -> Case:
    try:
        case = Case.model_validate(columns)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if case.steps and case.scores and len(case.steps) != len(case.scores):
        raise BadInput(f"{where}: {len(case.scores)} scores for {len(case.steps)} steps")
    # A prediction after the last step, as judges write it, is a miss.
    for name, step, last in (("label", case.label, len(case.steps) - 1), ("prediction", case.prediction, math.inf)):
        if case.steps and step is not None and case.wrong is None and not NONE <= step <= last:
            raise BadInput(f"{where}: {name} {step} is no step: they are counted from 0 to {len(case.steps) - 1}")
    return case


def with_recorded(cases: Sequence[Case], path: Path) -> list[Case]:
    """Return the cases with the scores or predictions of a file, found by ``id``.

    Raises BadInput: the file names a case twice, or lacks one.
    """
    recorded: dict[str, Mapping[str, object]] = {}
    for number, row in rows_of(path):
        if str(row.get("id")) in recorded:
            raise BadInput(f"{path}, line {number}: id {row.get('id')!r} appears twice")
        recorded[str(row.get("id"))] = {"scores": row.get("scores") or (), "prediction": row.get("prediction")}
    for name, count in Counter(case.id for case in cases).items():
        if count > 1:
            raise BadInput(f"{path}: {name!r} is the id of several cases; recorded scores are found by it")
    if missing := [case.id for case in cases if case.id not in recorded]:
        raise BadInput(f"{path}: no row with the id {missing[0]!r}; every case needs one")
    return [_checked({**case.model_dump(), **recorded[case.id]}, f"{path}: {case.id}") for case in cases]


def run_cases(where: str, labeler: str | None) -> Iterator[Case]:
    """Yield the solutions of a run that people judged, else those that the oracle can judge."""
    _, layout = open_run(place_of(where))
    for path in layout.shards("label"):
        for row in read_rows(path, LabeledProblem, without=COMPLETIONS):
            for solution in row.solutions:
                truth = known_truth(row.problem, solution.rollout)
                if not truth.abstained and solution.rollout.outcome != "undetermined" and solution.rollout.steps:
                    yield _case(row, solution, truth, labeler)


def _case(row: LabeledProblem, solution: LabeledSolution, truth: Verdict, labeler: str | None) -> Case:
    rollout = solution.rollout
    verdict = next((v for v in solution.verdicts if v.labeler == labeler), None)
    return Case(
        id=rollout.id,
        subset=row.problem.source,
        problem=row.problem.question.strip(),
        steps=tuple(step.text.strip("\n") for step in rollout.steps),
        label=NONE if truth.first_error is None else truth.first_error,
        final_answer_correct=rollout.outcome == "correct",
        answer=rollout.answer,
        scores=rollout.scores if labeler is None else () if verdict is None else _scores(verdict, len(rollout.steps)),
        prediction=None if verdict is None else NONE if verdict.first_error is None else verdict.first_error,
        abstained=verdict is not None and verdict.abstained,
    )


def _scores(verdict: Verdict, steps: int) -> tuple[float, ...]:
    """Return the probability that each step is right given that all before it are, from a labeler's posterior."""
    if verdict.posterior is None:
        return ()
    scores, left = [], 1.0
    for chance in verdict.posterior[:steps]:
        scores.append(min(1.0, max(0.0, 1 - chance / left)) if left > 1e-9 else 0.5)
        left -= chance
    return tuple(scores)


def _once(cases: list[Case]) -> list[Case]:
    """Leave out PRMBench's duplicates."""
    first = {case.id: number for number, case in reversed(list(enumerate(cases))) if case.wrong is not None}
    return [case for number, case in enumerate(cases) if first.get(case.id, number) == number]


def _hub_rows(name: str, split: str) -> Iterator[Mapping[str, object]]:
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split=split)
    except Exception as error:  # the library may raise any network error
        line = " ".join(str(error).split())[:200]
        raise BadInput(f"{name}: cannot be loaded ({line}); give a JSONL file of it") from None
    yield from rows
