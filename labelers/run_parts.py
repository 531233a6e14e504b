"""All label parts of a run on one problem: labelers, then combiners, then follow-ups."""

from collections.abc import Sequence

from stepforge.labelers.contracts import AnyPart, Combiner, FollowUp, Labeler, speaking
from stepforge.schemas.labeled import LabeledProblem, Verdict
from stepforge.schemas.protocols import Grader, Policy
from stepforge.schemas.rollout import SolvedProblem


async def label_with_all(
    parts: Sequence[AnyPart], solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int
) -> LabeledProblem:
    """Label with each labeler on its own evidence, combine, then follow up. The first part's verdicts are the run's,
    and the others' are stored with them; step labels and evidence are the first labeler's.
    """
    row = await _labeled(speaking(parts), solved, policy, grader, seed)
    for part in parts:
        if isinstance(part, FollowUp):
            row = await part.follow_up(row, policy, grader, seed=seed)
    return row


async def _labeled(
    parts: Sequence[Labeler | Combiner], solved: SolvedProblem, policy: Policy, grader: Grader, seed: int
) -> LabeledProblem:
    labelers = [part for part in parts if isinstance(part, Labeler)]
    results = {part.name: await part(solved, policy, grader, seed=seed) for part in labelers}
    first = results[labelers[0].name]
    solutions = []
    for i, solution in enumerate(first.solutions):
        spoken = {name: result.solutions[i].verdict for name, result in results.items()}
        for part in parts:
            if isinstance(part, Combiner):
                spoken[part.name] = part.combine([spoken[labeler.name] for labeler in labelers])
        verdict, *others = _checked_critiques([spoken[part.name] for part in parts])
        solutions.append(solution.model_copy(update={"verdict": verdict, "others": tuple(others)}))
    costs = tuple(cost for result in results.values() for cost in result.costs)
    return first.model_copy(update={"solutions": tuple(solutions), "costs": costs})


def _checked_critiques(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Keep a judge's words only if a labeler with other evidence names the same step."""
    return [
        verdict
        if verdict.critique is None or any(_supports(other, verdict) for other in verdicts)
        else verdict.model_copy(update={"critique": None})
        for verdict in verdicts
    ]


def _supports(other: Verdict, judge: Verdict) -> bool:
    independent = other.critique is None and other.labeler not in ("oracle", "consensus")
    return independent and not other.abstained and other.first_error == judge.first_error
