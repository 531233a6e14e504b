"""Which rollouts go through which prefix, against a count that looks at every rollout's text."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from fakes import a_solution

from stepforge.labelers.evidence.prefix_index import PrefixIndex, SiblingCounts
from stepforge.schemas.rollout import Outcome, Rollout

OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "undetermined")


def drawn(rng: Random, count: int) -> list[tuple[str, Rollout]]:
    """Rollouts of one to five steps, each an "a" or a "b", from prefixes of none to two."""
    found = []
    for i in range(count):
        before = "".join(f"{rng.choice('ab')}\n" for _ in range(rng.randrange(3)))
        letters = "".join(rng.choice("ab") for _ in range(rng.randrange(1, 6)))
        found.append((before, a_solution(f"r{i}", letters, rng.choice(OUTCOMES))))
    return found


def goes_through(prefix: str, before: str, rollout: Rollout) -> bool:
    return prefix.startswith(before) and (before + rollout.text).startswith(prefix)


def counted(own: str, texts: Sequence[str], rollouts: list[tuple[str, Rollout]]) -> SiblingCounts:
    """The same figures, rollout by rollout and prefix by prefix, as their definitions read."""
    others = [(before, r) for before, r in rollouts if r.id != own and r.outcome != "undetermined"]
    passing, agreement, leaving = [], [], []
    for text, further in pairwise(texts):
        here = [(before, r) for before, r in others if goes_through(text, before, r)]
        left = [r.outcome for before, r in here if not goes_through(further, before, r)]
        outcomes = [r.outcome for _, r in here]
        passing.append((outcomes.count("correct"), outcomes.count("wrong")))
        leaving.append((left.count("correct"), left.count("wrong")))
        agreement.append((outcomes.count("correct") - left.count("correct"), left.count("correct")))
    return SiblingCounts(tuple(passing), tuple(agreement), tuple(leaving))


def test_what_happens_beside_a_solution_is_what_a_plain_count_says() -> None:
    rng = Random(7)
    seen = 0
    for _ in range(60):
        rollouts = drawn(rng, 40)
        passing = PrefixIndex()
        for before, rollout in rollouts:
            passing.add(before, rollout)
        before, own = next(pair for pair in rollouts if pair[0] == "" and pair[1].outcome == "wrong")
        texts = ["".join(step.text for step in own.steps[:i]) for i in range(len(own.steps) + 1)]
        along = passing.along(own.id, texts)
        assert along == counted(own.id, texts, rollouts)
        seen += sum(sum(counts) for counts in along.agreement)
    assert seen > 500


def test_a_rollout_that_comes_later_counts_too() -> None:
    passing = PrefixIndex()
    passing.add("", a_solution("own", "ab", "wrong"))
    assert passing.along("own", ["", "a\n", "a\nb\n"]).passing == ((0, 0), (0, 0))
    passing.add("a\n", a_solution("later", "b", "correct"))
    assert passing.along("own", ["", "a\n", "a\nb\n"]) == SiblingCounts(
        passing=((0, 0), (1, 0)), agreement=((0, 0), (1, 0)), leaving=((0, 0), (0, 0))
    )
