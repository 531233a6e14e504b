"""The checking corpus: every critique tells the truth about the solution above it, and one family is left out."""

import re
from fractions import Fraction
from functools import cache
from itertools import islice
from random import Random
from typing import Any, NamedTuple

import pytest

from benchmarks.embedded_policy import verdict_corpus
from benchmarks.embedded_policy.verdict_corpus import (
    CHECK,
    CLEAN_SHARE,
    HELD_OUT,
    PROMPT,
    WORDINGS,
    Check,
    check,
    critique,
    other_operand,
)
from stepforge.generators.draft import Draft, Transcript
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.grading.exact import Polynomial, evaluate
from stepforge.labelers import Judge
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.verdict_text import imitates, numbered, read_verdict
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import rng_of

SEED = 31
WEIGHTS = embedded_folder()
every_family = pytest.mark.parametrize("family", ALL_FAMILIES)


class Case(NamedTuple):
    problem: Problem
    true: list[str]
    made: Check
    shown: list[str]
    error: int | None


def true_lines(draft: Draft) -> list[str]:
    transcript = Transcript()
    answer = draft.work(transcript)
    return [*(q.statement for q in transcript.quantities), f"Answer: {answer}"]


def shown_lines(made: Check, draft: Draft) -> list[str]:
    """The steps of a prompt, read back from its delimiters."""
    opened, _, closed = made.prompt.partition("\n<1>\n")
    question, _, wording = opened.rpartition("\n")
    assert question == draft.question
    assert wording in WORDINGS
    assert closed.endswith(f"\n{CHECK}\n")
    parts = re.split(r"^<(\d+)>\n", f"<1>\n{closed.removesuffix(f'{CHECK}{chr(10)}')}", flags=re.MULTILINE)[1:]
    assert parts[::2] == [str(i + 1) for i in range(len(parts) // 2)]
    assert all(part.endswith("\n") and part.count("\n") == 1 for part in parts[1::2])
    return [part.removesuffix("\n") for part in parts[1::2]]


@cache
def cases(family: type[Family], level: int, count: int = 25) -> list[Case]:
    part = family(levels=(level,))
    found = []
    for index in range(count):
        draft, _ = part.draw(SEED, index)
        made, true = check(draft, rng_of("check", family.__name__, level, index)), true_lines(draft)
        shown = shown_lines(made, draft)
        differ = [i for i, (a, b) in enumerate(zip(shown, true, strict=False)) if a != b]
        if not differ:
            assert len(shown) == len(true)
        found.append(Case(part.item(SEED, index), true, made, shown, differ[0] if differ else None))
    return found


@every_family
@pytest.mark.parametrize("level", [1, 3, 6])
def test_the_critique_and_the_oracle_name_the_first_line_that_differs(family: type[Family], level: int) -> None:
    for case in cases(family, level):
        *blocks, verdict = case.made.critique.split("\n")
        assert verdict == ("Wrong step: none" if case.error is None else f"Wrong step: {case.error + 1}")
        last = len(case.shown) - 1 if case.error is None else case.error
        expected: list[str] = []
        for i in range(last + 1):
            stated = re.split("[=:] ", case.shown[i])[-1]
            expected += [f"<{i + 1}>", case.true[i], f"= {stated}", "no" if i == case.error else "yes"]
        assert blocks == expected
        assert read_verdict(case.made.critique, len(case.shown)) == (True, case.error)
        steps = tuple(Step(text=f"{line}\n") for line in case.shown)
        shown = Rollout(id="r", start=None, steps=steps, answer=None, outcome="wrong", finish="stop", tokens=1)
        assert oracle_verdict(case.problem, shown).first_error == case.error
        assert not imitates(case.shown)


@every_family
def test_a_judge_with_the_corpus_prompt_asks_as_the_corpus_does(family: type[Family]) -> None:
    judge = Judge(wordings=WORDINGS, template=PROMPT, marked=False, chat=False)
    for case in cases(family, 3):
        steps = [f"{line}\n" for line in case.shown]
        prompts = [judge.prompt(case.problem.question, steps, vote, "") for vote in range(len(WORDINGS))]
        assert case.made.prompt in prompts
        assert numbered(case.shown) in case.made.prompt


def test_the_share_of_errors_and_their_places() -> None:
    found = [case for family in ALL_FAMILIES for level in (2, 5) for case in cases(family, level, 75)]
    erroneous = [case for case in found if case.error is not None]
    # 900 draws: a standard error of 0.016
    assert len(erroneous) / len(found) == pytest.approx(1 - CLEAN_SHARE, abs=0.05)
    # Every line but the answer's errs somewhere, the first and the last among them
    assert all(case.error is not None and case.error < len(case.true) - 1 for case in erroneous)
    relative = [
        case.error / (len(case.true) - 2) for case in erroneous if case.error is not None and len(case.true) > 2
    ]
    assert {0.0, 1.0} <= {*relative}
    assert 0.4 < sum(relative) / len(relative) < 0.6
    # Some errors are wrong numbers of the equation, some only wrong values; some are repaired
    operands = [c for c in erroneous if c.error is not None and _left(c.shown[c.error]) != _left(c.true[c.error])]
    assert 0.15 < len(operands) / len(erroneous) < 0.45
    assert 0.03 < sum(any("Wait: " in line for line in c.shown) for c in erroneous) / len(erroneous) < 0.25
    assert {wording for wording in WORDINGS if any(wording in case.made.prompt for case in found)} == {*WORDINGS}


def _left(line: str) -> str:
    return line.rpartition(" = ")[0]


@pytest.mark.parametrize(
    ("expression", "value"), [("", 7), ("x + x", 7), ("2x + 1", Polynomial([1, 2])), ("7 mod 1", 0), ("0 * 5", 0)]
)
def test_an_operand_is_only_changed_where_that_changes_the_value(expression: str, value: int | Polynomial) -> None:
    for seed in range(60):
        wrong = other_operand(Random(seed), expression, value)
        if wrong is not None:
            assert expression in ("7 mod 1", "0 * 5")
            assert wrong[1] != value
            assert isinstance(wrong[1], int)
            assert evaluate(wrong[0]) == evaluate(str(wrong[1]))


def test_an_operand_is_never_changed_to_a_value_of_another_kind() -> None:
    found = [other_operand(Random(seed), "12 / 4", 3) for seed in range(100)]
    stated = {wrong[1] for wrong in found if wrong is not None}
    assert stated
    assert all(isinstance(value, int) and value != 3 for value in stated)
    halves = [other_operand(Random(seed), "1/2 + 1/3", Fraction(5, 6)) for seed in range(100)]
    assert all(isinstance(wrong[1], Fraction) for wrong in halves if wrong is not None)


def test_a_critique_by_hand() -> None:
    true = ["a = 1 + 1 = 2", "b = 2 * 2 = 4", "Answer: 4"]
    wrong = ["a = 1 + 1 = 2", "b = 2 * 2 = 5", "Answer: 5"]
    assert critique(wrong, true, 1) == "<1>\na = 1 + 1 = 2\n= 2\nyes\n<2>\nb = 2 * 2 = 4\n= 5\nno\nWrong step: 2"
    assert critique(true, true, None).endswith("<3>\nAnswer: 4\n= 4\nyes\nWrong step: none")


# Training examples.


@pytest.fixture(scope="module")
def train() -> Any:
    pytest.importorskip("torch")
    from benchmarks.embedded_policy import train

    return train


@pytest.fixture(scope="module")
def corpus(train: Any) -> Any:
    from benchmarks.embedded_policy import corpus

    return corpus


@pytest.fixture(scope="module")
def tokenizer(train: Any) -> Any:
    return train.PreTrainedTokenizerFast.from_pretrained(WEIGHTS)


@pytest.fixture
def mix(corpus: Any) -> Any:
    return corpus.Mix(free=0.3, check=0.4, repair=0.25)


EXAMPLES = 360


@pytest.mark.slow
def test_no_solution_of_the_held_out_family_is_checked_in_training(
    corpus: Any, tokenizer: Any, mix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def watched(draft: Draft, rng: Random) -> Check:
        checked.append(draft.question)
        return verdict_corpus.check(draft, rng)

    monkeypatch.setattr(corpus, "check", watched)
    made = [tokenizer.decode(e.ids) for e in islice(corpus.examples(tokenizer, 0, mix), EXAMPLES)]
    kinds = [family.model_fields["kind"].default for family in ALL_FAMILIES]
    tasks = [(kinds[i % len(kinds)], f"\n{CHECK}\n" in text) for i, text in enumerate(made)]
    checks = sum(is_check for _, is_check in tasks)
    assert checks == len(checked)
    assert 0.25 < checks / EXAMPLES < 0.42
    assert (HELD_OUT, True) not in tasks
    assert {kind for kind, is_check in tasks if is_check} == set(kinds) - {HELD_OUT}
    assert not any("sequence" in question.lower() for question in checked)
    assert any("sequence" in text.lower() for text in made)


@pytest.mark.slow
def test_only_the_critique_carries_loss(corpus: Any, train: Any, tokenizer: Any, mix: Any) -> None:
    made = list(islice(corpus.examples(tokenizer, 5_000, mix), EXAMPLES))
    checks = [e for e in made if f"\n{CHECK}\n" in tokenizer.decode(e.ids)]
    assert checks
    for example in checks:
        assert len(example.ids) == len(example.labels)
        learned = [label for label in example.labels if label != corpus.IGNORED]
        assert example.labels == [corpus.IGNORED] * (len(example.ids) - len(learned)) + example.ids[-len(learned) :]
        assert learned[-1] == tokenizer.eos_token_id
        before, after = tokenizer.decode(example.ids[: -len(learned)]), tokenizer.decode(learned[:-1])
        assert before.endswith(f"\n{CHECK}\n")
        assert after.startswith("<1>\n")
        assert read_verdict(after, len(re.findall(r"^<\d+>$", before, re.MULTILINE)))[0]
    assert max(len(e.ids) for e in made) <= train._config(tokenizer, 64, 1).max_position_embeddings


@pytest.mark.slow
def test_wrong_values_and_questions_in_free_wording_carry_no_loss(corpus: Any, tokenizer: Any) -> None:
    free = corpus.Mix(free=1.0, check=0.0, repair=0.5)
    for example in islice(corpus.examples(tokenizer, 0, free), 120):
        end_of_question = example.ids.index(tokenizer.encode("\n")[0]) + 1
        assert set(example.labels[:end_of_question]) == {corpus.IGNORED}
        assert example.labels[-1] == tokenizer.eos_token_id
        unlearned = [i for i, label in zip(example.ids, example.labels, strict=True) if label == corpus.IGNORED]
        assert all(i == label for i, label in zip(example.ids, example.labels, strict=True) if label != corpus.IGNORED)
        rest = tokenizer.decode(unlearned[end_of_question:])
        assert not re.search(r"[.:]|answer", rest), rest
