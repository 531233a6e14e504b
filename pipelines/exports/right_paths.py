"""Right solutions of a problem: labeled ones, and ones found along the way by labeling or a search.

A completion that reaches the right answer is, together with its prefix, a solution that the policy wrote. It counts if
no error was found in that prefix. A solution that a search found but did not keep counts too. Their steps were never
checked, so they rank after labeled ones; where the truth is known, those with a wrong step are left out.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from stepforge.labelers.oracle import oracle_verdict
from stepforge.pipelines.exports.last_problem import LastProblem
from stepforge.pipelines.exports.search_tree import RolloutTree, rollout_tree
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Rollout, Step

Pick = Literal["none", "best", "diverse"]
"""Which completions are used: none; those along the path of highest values; those that share the fewest steps with
those already used."""


class RightPath(NamedTuple):
    id: str
    """Of the rollout that ends it."""
    steps: tuple[Step, ...]
    tokens: int
    """Of the whole path; 0 where the engine does not report them."""
    labeled: bool
    """Whether the labeler checked it and found no error; else it is a completion."""
    value: float
    """The lowest value along it, of the steps that rollouts went through; the outcome is known to be right."""

    @property
    def written(self) -> frozenset[str]:
        return frozenset(step.text.strip() for step in self.steps)

    @property
    def text(self) -> str:
        return "".join(step.text for step in self.steps)


def picked(paths: Sequence[RightPath], pick: Pick, most: int) -> list[RightPath]:
    """Return up to ``most`` paths, the labeled ones first; ``paths`` are in the order of ``right_paths``."""
    chosen = [path for path in paths if path.labeled][:most]
    others = [] if pick == "none" else [path for path in paths if not path.labeled]
    if pick == "best":
        others.sort(key=lambda path: -path.value)
        return chosen + others[: most - len(chosen)]
    shared = [max((_shared(path, other) for other in chosen), default=0.0) for path in others]
    while others and len(chosen) < most:
        place = min(range(len(others)), key=shared.__getitem__)
        del shared[place]
        chosen.append(others.pop(place))
        shared = [max(share, _shared(path, chosen[-1])) for share, path in zip(shared, others, strict=True)]
    return chosen


def _shared(path: RightPath, other: RightPath) -> float:
    own, others = path.written, other.written
    return len(own & others) / len(own | others)


def _paths(problem: LabeledProblem) -> list[RightPath]:
    tree = rollout_tree(problem)
    found = {path.text: path for path in _labeled(problem, tree)}
    for path in _completed(problem, tree):
        found.setdefault(path.text, path)
    return list(found.values())


def _labeled(problem: LabeledProblem, tree: RolloutTree) -> Iterator[RightPath]:
    for solution in problem.solutions:
        rollout = solution.rollout
        if rollout.outcome == "correct" and solution.verdict.finds_no_error and rollout.tokens and rollout.steps:
            yield RightPath(rollout.id, rollout.steps, rollout.tokens, True, _lowest(rollout, tree))


def _completed(problem: LabeledProblem, tree: RolloutTree) -> Iterator[RightPath]:
    own = [s for s in problem.solutions if s.rollout.tokens]
    sound = {s.rollout.id: s.labeled_steps - (s.verdict.first_error is not None) for s in own}
    """Leading steps of each rollout in which no error was found."""
    for rollout in (*problem.evidence, *problem.further, *problem.searched):
        kept = rollout.start.steps if rollout.start is not None else 0
        if not rollout.steps or (kept and rollout.start and kept > sound.get(rollout.start.rollout, 0)):
            continue
        whole = tree.steps[rollout.id]
        sound[rollout.id] = len(whole)
        if rollout.outcome == "correct" and not _known_wrong(problem, rollout, whole):
            before = sum(len(step.token_ids) for step in whole[:kept])
            yield RightPath(rollout.id, whole, before + rollout.tokens, False, _lowest(rollout, tree))


def _known_wrong(problem: LabeledProblem, rollout: Rollout, whole: tuple[Step, ...]) -> bool:
    if problem.problem.truth is None:
        return False
    return oracle_verdict(problem.problem, rollout.model_copy(update={"steps": whole})).first_error is not None


def _lowest(rollout: Rollout, tree: RolloutTree) -> float:
    *values, _ = (node.value[0] for node in tree.on(rollout.id))
    return min(values, default=1.0)


right_paths = LastProblem(_paths)
"""The distinct right solutions: the labeled ones, then completions in the order they were drawn."""
