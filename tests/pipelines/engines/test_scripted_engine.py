"""The scripted engine: right format, known rates, a pure function of prompt, seed and position."""

import asyncio
import itertools
from functools import cache

import pytest

from stepforge.generators.families.quantities import Quantities
from stepforge.generators.families.sequences import Sequence
from stepforge.generators.family import Family
from stepforge.generators.policy import complete_each
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine, read_position
from stepforge.pipelines.engines.scripted_plan import find_question
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Prompt, Sampling

AFFINE = "A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 6.\n"
FAMILIES = [Sequence, Quantities]


@cache
def likely(left: int, wrong: bool, since: int, errs: float, recovers: float) -> float:
    """Probability of a right answer with ``left`` steps to state; ``since`` were stated after the first wrong one."""
    if not wrong:
        right, erred = (likely(left - 1, wrong, 0, errs, recovers) for wrong in (False, True)) if left else (1.0, 1.0)
        return (1 - errs) * right + errs * erred
    recovered = recovers * likely(left + since, False, 0, errs, recovers)
    return recovered + ((1 - recovers) * likely(left - 1, True, since + 1, errs, recovers) if left else 0.0)


def engine(**rates: float) -> ScriptedEngine:
    return ScriptedEngine(ScriptedEngineSettings(**{"error_rate": 0.0, "recovery_rate": 0.0, **rates}))


def ask(asked: ScriptedEngine, text: str, n: int = 1, seed: int = 0, **how: object) -> list[Completion]:
    sampling = Sampling.model_validate(how)
    return asyncio.run(complete_each(asked, Prompt(text=text), n=n, seed=seed, sampling=sampling))


def answer(solution: str) -> str:
    return solution.rpartition("Answer: ")[2]


def problems(family: type[Family], levels: tuple[int, ...], count: int) -> list[Problem]:
    return [family(levels=levels).item(11, i) for i in range(count)]


@pytest.mark.parametrize("family", FAMILIES)
def test_without_errors_it_writes_the_reference_solution(family: type[Family]) -> None:
    for problem in problems(family, (1, 2), 100):
        assert ask(engine(), f"{problem.question}\n")[0].text == problem.reference_solution


@pytest.mark.parametrize("family", FAMILIES)
def test_shuffled_questions_are_solved_in_an_order_that_works(family: type[Family]) -> None:
    for problem in problems(family, tuple(range(3, family.max_level + 1)), 200):
        solution = ask(engine(), f"Solve this.\n{problem.question}\nSolution:\n", max_tokens=4096)[0].text
        reference = problem.reference_solution or ""
        assert sorted(solution.split("\n")) == sorted(reference.split("\n"))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_goes_on_from_any_prefix_of_a_reference_solution(family: type[Family]) -> None:
    for problem in problems(family, (4, 5), 20):
        reference = problem.reference_solution or ""
        for place in range(len(reference) + 1):
            completion = ask(engine(), f"{problem.question}\n{reference[:place]}")[0]
            assert answer(reference[:place] + completion.text) == problem.answer


def test_a_greedy_completion_cut_anywhere_goes_on_as_before() -> None:
    for recovery, error in itertools.product((0.0, 0.9), (0.2, 0.9)):
        sure = engine(error_rate=error, recovery_rate=recovery)
        whole = ask(sure, AFFINE, temperature=0, max_tokens=120)[0].text
        for place in range(len(whole) + 1):
            rest = (
                ask(sure, AFFINE + whole[:place], temperature=0, max_tokens=120 - place)[0].text if place < 120 else ""
            )
            assert whole[:place] + rest == whole


@pytest.mark.parametrize(
    ("prefix", "steps_left", "wrong", "since"),
    [
        ("", 5, False, 0),
        ("t2 = 2 * 3 + 1 = 7\nt3 = 2 * 7 + 1 = 15\n", 3, False, 0),
        ("t2 = 2 * 3 + 1 = 8\n", 4, True, 0),
        ("t2 = 2 * 3 + 1 = 8\nt3 = 2 * 8 + 1 = 17\nt4 = 2 * 17 + 1 = 35\n", 2, True, 2),
        ("t2 = 2 * 3 + 1 = 8\nt3 = 2 * 8 + 1 = 17\nWait: t2 = 2 * 3 + 1 = 7\n", 4, False, 0),
        ("t2 = 2 * 3 + 1 = 7\nt3 = 2 * 7 + 1 = 15\nt4 = 2 * 15 + 1 = 31\nt5 = 63\nt6 = 128\n", 0, True, 0),
    ],
)
def test_the_success_probability_is_that_of_simulation(prefix: str, steps_left: int, wrong: bool, since: int) -> None:
    trials = 4000
    rates = engine(error_rate=0.2, recovery_rate=0.3)
    exact = likely(steps_left, wrong, since, 0.2, 0.3)
    written = ask(rates, AFFINE + prefix, n=trials, seed=5)
    share = sum(answer(prefix + c.text) == "127" for c in written) / trials
    assert abs(share - exact) < 4 * (exact * (1 - exact) / trials) ** 0.5 + 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_on_every_problem_success_is_as_likely_as_said(family: type[Family]) -> None:
    rates = engine(error_rate=0.25, recovery_rate=0.15)
    expected = right = spread = 0.0
    for problem in problems(family, (1, 2, 3, 4, 5), 60):
        steps = len((problem.reference_solution or "").splitlines()) - 1
        chance = likely(steps, False, 0, 0.25, 0.15)
        written = ask(rates, f"{problem.question}\n", n=50, seed=7)
        expected, right = expected + 50 * chance, right + sum(answer(c.text) == problem.answer for c in written)
        spread += 50 * chance * (1 - chance)
    assert abs(right - expected) < 4 * spread**0.5


def test_a_wrong_value_is_carried_on_and_repaired_by_stating_it_rightly() -> None:
    prefix = "t2 = 2 * 3 + 1 = 8\n"
    carried = ask(engine(error_rate=1.0), AFFINE + prefix)[0].text
    assert carried.startswith("t3 = 2 * 8 + 1 = 17\n")
    repaired = ask(engine(recovery_rate=1.0), AFFINE + prefix)[0].text
    assert repaired.startswith("Wait: t2 = 2 * 3 + 1 = 7\nt3 = 2 * 7 + 1 = 15\n")
    assert answer(repaired) == "127"


def test_halving_never_makes_a_wrong_value_right() -> None:
    question = "Ann has 22 pens. Bob has half as many pens as Ann. How many pens does Bob have?\n"
    assert answer(ask(engine(), question + "Ann = 23\n")[0].text) == "12"
    assert answer(ask(engine(), question + "Ann = 24\n")[0].text) == "12"
    assert answer(ask(engine(), question + "Ann = 20\n")[0].text) == "10"


def test_truncations_and_failures_come_at_the_rates_asked_for() -> None:
    written = ask(engine(truncation_rate=0.3, failure_rate=0.2), AFFINE, n=3000)
    failures = [c for c in written if c.finish == "error"]
    truncated = [c for c in written if c.finish == "length"]
    assert abs(len(failures) / 3000 - 0.2) < 0.03
    assert abs(len(truncated) / 3000 - 0.8 * 0.3) < 0.03
    assert all(c.error and not c.text for c in failures)
    assert all("Answer" not in c.text or c.text.startswith("t2") for c in truncated)


def test_completions_are_valid_records() -> None:
    for completion in ask(engine(error_rate=0.3), AFFINE, n=20, max_tokens=100):
        assert Completion.model_validate_json(completion.model_dump_json()) == completion
        assert "".join(map(chr, completion.token_ids)) == completion.text


@pytest.mark.parametrize(
    "prompt",
    [
        "What is love?\n",
        "How many pens does Ann have?",
        "Ann has half as many pens as Bob. Bob has half as many pens as Ann. How many pens does Ann have?\n",
        "A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 1.\n",
        "A sequence starts with 3. Each next term is 2 times the term before plus 1. Find term 99999999.\n",
        AFFINE + "t2 = " + "9" * 5000 + "\n",
        AFFINE + "t2 = ½\nnonsense\n= = =\nt99 = 4\n",
        "\n\n\n",
        "\ud800",
    ],
)
def test_any_other_prompt_gets_an_answer_too(prompt: str) -> None:
    first, second = (ask(engine(error_rate=0.1), prompt)[0] for _ in range(2))
    assert first == second
    assert first.finish == "stop"
    assert "Answer: " in first.text


def test_a_guess_has_two_steps_and_goes_on_from_a_prefix() -> None:
    solution = ask(engine(), "What is love?\n")[0].text
    assert [line.split()[0] for line in solution.split("\n")] == ["Guess", "Check", "Answer:"]
    first_line = solution.split("\n", 1)[0] + "\n"
    assert first_line + ask(engine(), "What is love?\n" + first_line)[0].text == solution


def test_after_the_answer_nothing_is_written() -> None:
    assert ask(engine(), AFFINE + "Answer: 5\n")[0].text == ""


def test_the_last_of_several_questions_is_solved() -> None:
    shots = "Ann has 2 pens. How many pens does Ann have?\nAnn = 2\nAnswer: 2\n\n"
    assert find_question(shots + AFFINE)[0].steps[0].name == "t2"
    assert read_position(shots + AFFINE).pending == (0, 1, 2, 3, 4)
