"""Near-copies: of questions over a whole run, and of solutions within a problem."""

from pathlib import Path
from random import Random

import pytest
from fakes import a_problem, a_solution, shards_of, solved, verdict_of

from stepforge.filters import Corpus, DistinctSolutions, Dropped, NearDuplicates
from stepforge.filters.shingles import jaccard, question_shingles, text_shingles
from stepforge.pipelines.run.duplicates import near_duplicates
from stepforge.schemas.errors import BadInput
from stepforge.schemas.labeled import LabeledProblem, LabeledSolution
from stepforge.schemas.rollout import Outcome, Rollout, Start, Step

WORDS = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}x" for i in range(400)]
LONG = (
    "Janet takes two bus trips on every day of the week and each of the trips costs her 3 dollars at"
    " the counter, so how much does she pay in all for 7 days of trips?"
)


def test_a_few_words_differ_and_the_first_is_kept(tmp_path: Path) -> None:
    asked = [["What is 1?", LONG], [], [LONG.replace("takes", "makes"), LONG.replace("3", "4")]]
    paths = shards_of(tmp_path, asked)
    assert near_duplicates(paths, NearDuplicates()) == {"2-0": "0-1"}
    assert near_duplicates(paths, NearDuplicates(numbers="any")) == {"2-0": "0-1", "2-1": "0-1"}
    assert near_duplicates(paths, NearDuplicates(similarity=1.0)) == {}
    assert near_duplicates([], NearDuplicates()) == {}


def test_a_model_finds_what_means_the_same(tmp_path: Path) -> None:
    """The embedded policy reads letters, so what it finds alike are small changes of a long question."""
    other = "Solve for x: 3x + 4 = 19 over the whole numbers."
    asked = [[LONG, other], [LONG.replace("takes", "makes"), LONG.replace("3", "4"), other]]
    paths = shards_of(tmp_path, asked)
    same = NearDuplicates(model="embedded", similarity=0.98)
    assert near_duplicates(paths, same) == {"1-0": "0-0", "1-2": "0-1"}
    assert near_duplicates(paths, same.model_copy(update={"numbers": "any"})) == {
        "1-0": "0-0",
        "1-1": "0-0",
        "1-2": "0-1",
    }
    with pytest.raises(BadInput, match=r"near_duplicates\.model"):
        near_duplicates(paths, NearDuplicates(model=str(tmp_path)))


def test_it_agrees_with_comparing_every_pair(tmp_path: Path) -> None:
    rng = Random(5)
    questions: list[str] = []
    for _ in range(150):
        words = rng.choices(WORDS, k=40)
        questions.append(" ".join(words))
        words[rng.randrange(40)] = "other"
        questions.append(" ".join(words if rng.random() < 0.5 else rng.choices(WORDS, k=40)))
    order = rng.sample(questions, len(questions))
    sets = [question_shingles(q, numbers=True)[0] for q in order]
    expected = {i: j for i in range(len(order)) for j in range(i) if jaccard(sets[i], sets[j]) >= 0.8}
    found = near_duplicates(shards_of(tmp_path, [order[:100], order[100:]]), NearDuplicates())
    place = {f"{i // 100 if i < 100 else 1}-{i if i < 100 else i - 100}": i for i in range(len(order))}
    got = {place[copy]: place[first] for copy, first in found.items()}
    assert len(expected) > 50
    assert len(got.keys() & expected.keys()) >= 0.95 * len(expected)
    assert all(jaccard(sets[i], sets[j]) > 0.65 for i, j in got.items())


def test_a_near_copy_is_dropped_and_supplied_solutions_are_not() -> None:
    row = solved(problem=a_problem("copy"))
    assert NearDuplicates()(row, Corpus(near_copy_of={"copy": "first"})) == Dropped(
        reason="nearly the question of an earlier problem"
    )
    assert NearDuplicates()(row, Corpus(near_copy_of={"other": "first"})) == row


def solution(name: str, text: str, outcome: Outcome = "correct", error: int | None = None) -> LabeledSolution:
    rollout = a_solution(name, "a", outcome).model_copy(update={"steps": (Step(text=text),)})
    return LabeledSolution(rollout=rollout, labels=(None,), verdict=verdict_of("x", error))


def completion(name: str, start: str) -> Rollout:
    step = Step(text="so\n")
    begun = Start(rollout=start, steps=1)
    return Rollout(id=name, start=begun, steps=(step,), answer="1", outcome="correct", finish="stop", tokens=1)


def test_near_copies_of_a_solution_go_with_what_begins_in_them() -> None:
    long = " ".join(f"Line {i} says that {i} apples are {i + 1} pears." for i in range(9))
    kept = solution("a", long), solution("c", long, "wrong", 0), solution("d", "Nothing of the kind: 3 * 4 = 12.")
    row = LabeledProblem(
        problem=a_problem(),
        solutions=(kept[0], solution("b", long.replace("Line 0", "Row 0")), *kept[1:]),
        evidence=(completion("e1", "a"), completion("e2", "b"), completion("e3", "e2"), completion("e4", "e1")),
        policy=solved().policy,
        costs=(),
    )
    found = DistinctSolutions()(row)
    assert isinstance(found, LabeledProblem)
    assert found.solutions == kept
    assert [rollout.id for rollout in found.evidence] == ["e1", "e4"]
    assert DistinctSolutions(min_distinct=4)(row) == Dropped(reason="too few distinct solutions")
    assert DistinctSolutions(similarity=1.0)(row) == row


@pytest.mark.parametrize(
    ("one", "other", "alike"), [("a b c d", "a b c e", 1 / 3), ("a", "a", 1.0), ("a b", "b a", 0.0)]
)
def test_jaccard_of_runs_of_three(one: str, other: str, alike: float) -> None:
    assert jaccard(text_shingles(one), text_shingles(other)) == pytest.approx(alike)
