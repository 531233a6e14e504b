"""Which rollouts go through which prefix, against a count that looks at every rollout's text."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from fakes import a_solution

from stepforge.labelers.evidence.prefix_index import PrefixIndex, SiblingCounts, prefix_keys
from stepforge.schemas.rollout import Outcome, Rollout, Step

OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "undetermined")


def written(letters: str) -> tuple[Step, ...]:
    return a_solution("", letters, "wrong").steps


def drawn(rng: Random, count: int) -> list[tuple[str, Rollout]]:
    """Rollouts of one to five steps, each an "a" or a "b", from prefixes of none to two."""
    found = []
    for i in range(count):
        before = "".join(rng.choice("ab") for _ in range(rng.randrange(3)))
        letters = "".join(rng.choice("ab") for _ in range(rng.randrange(1, 6)))
        found.append((before, a_solution(f"r{i}", letters, rng.choice(OUTCOMES))))
    return found


def whole(before: str, rollout: Rollout) -> str:
    return before + rollout.text.replace("\n", "")


def counted(own: str, letters: str, rollouts: Sequence[tuple[str, Rollout]]) -> SiblingCounts:
    """The same figures, rollout by rollout and prefix by prefix, as their definitions read."""
    others = [(before, r) for before, r in rollouts if r.id != own and r.outcome != "undetermined"]
    going_on, right, wrong = [], [], []
    for text, further in pairwise(letters[:i] for i in range(len(letters) + 1)):
        here = [(b, r) for b, r in others if text.startswith(b) and whole(b, r).startswith(text)]
        left = [r.outcome for b, r in here if not whole(b, r).startswith(further)]
        going_on.append(len(here) - len(left))
        right.append(left.count("correct"))
        wrong.append(left.count("wrong"))
    return SiblingCounts(tuple(going_on), tuple(right), tuple(wrong))


def test_what_happens_beside_a_solution_is_what_a_plain_count_says() -> None:
    rng = Random(7)
    seen = 0
    for _ in range(60):
        rollouts = drawn(rng, 40)
        index = PrefixIndex()
        for before, rollout in rollouts:
            index.add(written(before), rollout)
        _, own = next(pair for pair in rollouts if pair[0] == "" and pair[1].outcome == "wrong")
        beside = index.beside(own.id, own.steps)
        assert beside == counted(own.id, whole("", own), rollouts)
        seen += sum(beside.right)
    assert seen > 200


def test_a_rollout_that_comes_later_counts_too() -> None:
    index = PrefixIndex()
    index.add((), a_solution("own", "ab", "wrong"))
    assert index.beside("own", written("ab")) == SiblingCounts((0, 0), (0, 0), (0, 0))
    index.add(written("a"), a_solution("later", "c", "correct"))
    assert index.beside("own", written("ab")) == SiblingCounts((0, 0), (0, 1), (0, 0))


def test_a_prefix_is_its_text_however_it_is_cut() -> None:
    *_, cut = prefix_keys((Step(text="ab"), Step(text="c")))
    *_, other = prefix_keys((Step(text="a"), Step(text="bc")))
    assert cut == other
    assert len(set(prefix_keys(written("abc")))) == 4
