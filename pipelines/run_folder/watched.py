"""Figures of every run that show whether an engine works correctly, and the policy's pass rate.

They are counted shard by shard from committed work: the effects of a proxy, a cache or a broken server show here long
before anyone looks at a label.
"""

from collections.abc import Sequence
from itertools import combinations
from math import exp

from stepforge.pipelines.settings.run_file import Watch
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record, Summed
from stepforge.schemas.rollout import Rollout, SolvedProblem

LEAST_SOLUTIONS = 40
"""Fewest solutions for judging a run's pass rate while it runs; half of that at its end."""
LEAST_WRONG = 40
LEAST_PAIRS = 60
OFTEN_CUT_OFF = 0.1
"""Share of solutions without an end above which the token limit is too low for the policy."""
LEAST_PROBLEMS = 10
"""Fewest problems for judging a policy that only continues supplied solutions; half of that at the end."""
LEAST_AFTER = 60
"""Fewest completions after one right step for judging their pass rate."""
HOPELESS = (
    "Check policy.prompt, the answers' form and policy.max_tokens, use easier problems or a stronger model, or set "
    "watch.least_pass_rate = 0 to continue anyway"
)


class Watched(Summed):
    solved: int = 0
    """The policy's own solutions that have a verdict."""
    right: int = 0
    cut_off: int = 0
    """Its own solutions that hit the token limit, and so have no verdict."""
    wrong: int = 0
    """Wrong rollouts, solutions and completions."""
    without_answer: int = 0
    """Those that ended by themselves without an answer."""
    pairs: int = 0
    """Pairs of solutions of one problem of which at least one is wrong."""
    identical: int = 0
    expected_of: int = 0
    """Those of the pairs whose log-probabilities are known."""
    expected: float = 0.0
    """How many of those would be identical by chance, at temperature 1."""
    after: int = 0
    """Completions with a verdict that start after a first step that a right solution has too."""
    after_right: int = 0
    after_root: float = 0.0
    """How many of them would be right at the pass rate of their question."""
    continued: int = 0
    """Completions with a verdict from the question or from steps of a right solution, of problems that the policy was
    not asked to solve because solutions were supplied."""
    continued_right: int = 0
    continued_problems: int = 0


class WatchedFigures(Record):
    counts: Watched
    text: str
    warning: str | None
    """What would have stopped the run under the default limits, or made much of it useless."""


def watched_solutions(rows: Sequence[SolvedProblem]) -> Watched:
    """Count what the policy itself wrote in the solve stage, even if solutions were supplied."""
    return sum((_of_solutions([r for r in (*row.rollouts, *row.own) if r.tokens]) for row in rows), Watched())


def _of_solutions(rollouts: Sequence[Rollout]) -> Watched:
    verdicts = [r for r in rollouts if r.outcome != "undetermined"]
    pairs = [pair for pair in combinations(verdicts, 2) if any(r.outcome == "wrong" for r in pair)]
    chances = [_chance(a) + _chance(b) for a, b in pairs if _known(a) and _known(b)]
    return Watched(
        solved=len(verdicts),
        right=sum(r.outcome == "correct" for r in verdicts),
        cut_off=sum(r.finish == "length" for r in rollouts),
        pairs=len(pairs),
        identical=sum(a.text == b.text for a, b in pairs),
        expected_of=len(chances),
        expected=sum(chances) / 2,
    ) + _answers(verdicts)


def _known(rollout: Rollout) -> bool:
    return bool(rollout.steps) and all(step.logprob is not None or step.author == "tool" for step in rollout.steps)


def _chance(rollout: Rollout) -> float:
    """How likely it is to be drawn a second time."""
    return exp(min(0.0, sum(step.logprob or 0.0 for step in rollout.steps)))


def _answers(rollouts: Sequence[Rollout]) -> Watched:
    wrong = [r for r in rollouts if r.outcome == "wrong"]
    return Watched(wrong=len(wrong), without_answer=sum(r.answer is None for r in wrong))


def watched_labels(rows: Sequence[LabeledProblem]) -> Watched:
    return sum((_answers(row.evidence) + _after_right_step(row) + _continued(row) for row in rows), Watched())


def _after_right_step(row: LabeledProblem) -> Watched:
    solutions = [solution.rollout for solution in row.solutions if solution.rollout.steps]
    first_steps = {r.steps[0].text for r in solutions if r.outcome == "correct" and len(r.steps) > 1}
    starts = {r.id for r in solutions if r.steps[0].text in first_steps and len(r.steps) > 1}
    drawn = [r for r in row.evidence if r.start is not None and r.start.rollout in starts and r.start.steps == 1]
    known = row.completer is None and row.pass_rate is not None
    verdicts = [r for r in drawn if known and r.outcome != "undetermined"]
    return Watched(
        after=len(verdicts),
        after_right=sum(r.outcome == "correct" for r in verdicts),
        after_root=len(verdicts) * (row.pass_rate or 0.0),
    )


def _continued(row: LabeledProblem) -> Watched:
    """Count what a right policy would often end right, in place of a pass rate."""
    if not row.supplied or row.pass_rate is not None:
        return Watched()
    right = {s.rollout.id for s in row.solutions if s.rollout.outcome == "correct"}
    drawn = [r for r in row.evidence if r.start is None or r.start.steps == 0 or r.start.rollout in right]
    verdicts = [r.outcome for r in drawn if r.outcome != "undetermined"]
    return Watched(
        continued=len(verdicts), continued_right=verdicts.count("correct"), continued_problems=1 if verdicts else 0
    )


def reason_to_stop(seen: Watched, watch: Watch, *, temperature: float, ended: bool = False) -> str | None:
    """Return why a run must stop, or None. ``ended``: nothing more will come, so fewer solutions suffice."""
    if seen.wrong >= LEAST_WRONG and seen.without_answer > watch.most_without_answer * seen.wrong:
        return (
            f"{seen.without_answer} of {seen.wrong} wrong rollouts end without an answer (most_without_answer = "
            f"{watch.most_without_answer:g}): the engine gives empty or cut texts and calls them finished, or answers "
            "are not in a form that is recognized. Look at some with `stepforge show`; set "
            "watch.most_without_answer = 1 to continue anyway"
        )
    enough = LEAST_SOLUTIONS // 2 if ended else LEAST_SOLUTIONS
    limit = f"(least_pass_rate = {watch.least_pass_rate:g})"
    if seen.solved >= enough and seen.right < watch.least_pass_rate * seen.solved:
        return (
            f"the policy solves {seen.right} of {seen.solved} {limit}, so step 1 of everything would be labeled wrong. "
            f"{HOPELESS}"
        )
    several = seen.continued_problems >= (LEAST_PROBLEMS // 2 if ended else LEAST_PROBLEMS)
    if several and seen.continued >= enough and seen.continued_right < watch.least_pass_rate * seen.continued:
        return (
            f"{seen.continued_right} of {seen.continued} completions from the questions, or from steps of solutions "
            f"that are right, are right {limit}, so right steps would be labeled wrong. {HOPELESS}"
        )
    return _identical(seen, watch, temperature) or _after(seen, watch)


def _identical(seen: Watched, watch: Watch, temperature: float) -> str | None:
    known = temperature == 1 and seen.expected_of >= LEAST_PAIRS and seen.expected_of == seen.pairs
    allowed = seen.expected / seen.expected_of + watch.most_identical / 2 if known else watch.most_identical
    if temperature == 0 or watch.most_identical == 1 or seen.pairs < LEAST_PAIRS:
        return None
    if seen.identical <= allowed * seen.pairs:
        return None
    by_chance = f", where {seen.expected:.1f} would be by chance" if known else ""
    return (
        f"{seen.identical} of {seen.pairs} pairs of solutions with a wrong one among them are identical{by_chance} "
        f"(temperature {temperature:g}, most_identical = {watch.most_identical:g}): the engine ignores seeds, or "
        "something in front of it answers from a cache. Turn that off; set watch.most_identical = 1 to "
        "continue anyway"
    )


def _after(seen: Watched, watch: Watch) -> str | None:
    if seen.after < LEAST_AFTER or seen.after_right >= watch.least_after_right_step * seen.after_root:
        return None
    return (
        f"after one right step {seen.after_right} of {seen.after} completions are right, and from the question "
        f"{seen.after_root:.0f} of as many would be (least_after_right_step = {watch.least_after_right_step:g}): the "
        "engine does not continue from the given beginning. Look at some with `stepforge show`; set "
        "watch.least_after_right_step = 0 to continue anyway"
    )


def _often_cut_off(seen: Watched) -> str | None:
    written = seen.solved + seen.cut_off
    if written < LEAST_SOLUTIONS // 2 or seen.cut_off <= OFTEN_CUT_OFF * written:
        return None
    return (
        f"{seen.cut_off} of {written} solutions were cut off at policy.max_tokens and have no verdict: raise it, in "
        "a new run folder"
    )


def watched_figures(seen: Watched) -> WatchedFigures:
    warning = reason_to_stop(seen, Watch(), temperature=1.0, ended=True) or _often_cut_off(seen)
    return WatchedFigures(counts=seen, text=watched_text(seen), warning=warning)


def watched_text(seen: Watched) -> str:
    parts = [f"pass rate {_percent(seen.right, seen.solved)}"] if seen.solved or not seen.continued else []
    if seen.continued:
        parts.append(f"right after the question or right steps {_percent(seen.continued_right, seen.continued)}")
    if seen.cut_off:
        parts.append(f"cut off at the token limit {_percent(seen.cut_off, seen.solved + seen.cut_off)}")
    if seen.wrong:
        parts.append(f"wrong without an answer {_percent(seen.without_answer, seen.wrong)}")
    if seen.pairs:
        chance = f" (by chance {_percent(seen.expected, seen.expected_of)})" if seen.expected_of else ""
        parts.append(f"identical pairs {_percent(seen.identical, seen.pairs)}{chance}")
    if seen.after:
        root = _percent(seen.after_root, seen.after)
        parts.append(f"after one right step {_percent(seen.after_right, seen.after)}, from the question {root}")
    return "; ".join(parts)


def _percent(part: float, whole: int) -> str:
    return f"{part / whole:.0%} of {whole:,}" if whole else "-"
