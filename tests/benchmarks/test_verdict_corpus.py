"""The checking corpus: every critique tells the truth about the solution above it."""

import re
from functools import cache
from itertools import islice
from typing import NamedTuple

import pytest

from benchmarks.embedded_policy.verdict_corpus import CHECK, PROMPT, WORDINGS, Check, check, lines_of
from stepforge.generators.draft import Draft
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family
from stepforge.labelers import Judge
from stepforge.labelers.oracle import oracle_verdict
from stepforge.labelers.verdict_text import imitates, numbered, read_verdict
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.schemas.problem import Problem
from stepforge.schemas.rollout import Rollout, Step
from stepforge.schemas.seeds import rng_of

SEED = 31
every_family = pytest.mark.parametrize("family", ALL_FAMILIES)


class Case(NamedTuple):
    problem: Problem
    true: list[str]
    made: Check
    shown: list[str]
    error: int | None


def shown_lines(made: Check, draft: Draft) -> list[str]:
    """The steps of a prompt, read back from its delimiters."""
    opened, _, closed = made.prompt.partition("\n<1>\n")
    question, _, wording = opened.rpartition("\n")
    assert question == draft.plain_question
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
        made, true = check(draft, rng_of("check", family.__name__, level, index)), lines_of(draft)
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


@pytest.mark.slow
def test_wrong_values_and_questions_in_free_wording_carry_no_loss() -> None:
    pytest.importorskip("torch")
    from transformers import PreTrainedTokenizerFast

    from benchmarks.embedded_policy.corpus import IGNORED, Mix, examples

    tokenizer = PreTrainedTokenizerFast.from_pretrained(embedded_folder())
    for example in islice(examples(tokenizer, 0, Mix(free=1.0, check=0.0, repair=0.5)), 120):
        end_of_question = example.ids.index(tokenizer.encode("\n")[0]) + 1
        assert set(example.labels[:end_of_question]) == {IGNORED}
        assert example.labels[-1] == tokenizer.eos_token_id
        pairs = list(zip(example.ids, example.labels, strict=True))
        assert all(i == label for i, label in pairs if label != IGNORED)
        rest = tokenizer.decode([i for i, label in pairs if label == IGNORED][end_of_question:])
        assert not re.search(r"[.:]|answer", rest), rest
