"""Long wording: paragraphs of 20 to 80 tokens, and families whose solutions have up to 40 steps."""

import re

import pytest

from benchmarks.embedded_policy.free_solutions import free_solution
from benchmarks.embedded_policy.long_lines import LONGEST, SHORTEST, tokens_of
from benchmarks.embedded_policy.step_sentences import solution_grammar
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.families.quantities import Quantities
from stepforge.generators.family import LONG_STEPS, Family
from stepforge.grading.sentences import read_sentence
from stepforge.labelers.explained import REPAIRS
from stepforge.schemas.seeds import rng_of

WITH_LONG_LEVELS = [family for family in ALL_FAMILIES if family(levels=(1,)).max_level == max(LONG_STEPS)]


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_every_line_is_a_paragraph(family: type[Family]) -> None:
    part = family(levels=tuple(range(1, family.max_level + 1)), wording="long")
    marks = set()
    for i in range(40):
        draft, _ = part.draw(5, i)
        lines = free_solution(draft, rng_of("long", i), slip_share=0.5, repair_share=0.5, long=True)
        marks.update(line.mark for line in lines)
        assert [line.text for line in lines if not SHORTEST <= tokens_of(line.text) <= LONGEST] == []
        assert all(line.text.count("\n") == 1 for line in lines[:-1])
    assert {"step", "slip", "carried", "repair", "corrected", "remark", "abandoned", "answer"} <= marks


@pytest.mark.parametrize("level", sorted(LONG_STEPS))
@pytest.mark.parametrize("family", WITH_LONG_LEVELS)
def test_a_level_has_as_many_steps_as_it_says(family: type[Family], level: int) -> None:
    for i in range(10):
        truth = family(levels=(level,)).item(5, i).truth
        assert truth is not None
        needed = [quantity for quantity in truth.quantities if quantity.needed]
        assert LONG_STEPS[level] - 4 < len(needed) <= LONG_STEPS[level]


def test_there_are_people_for_every_quantity() -> None:
    part = Quantities(depth=12, width=4, distractors=5)
    for i in range(20):
        truth = part.item(5, i).truth
        assert truth is not None
        names = [quantity.name for quantity in truth.quantities]
        assert len(set(names)) == len(names) >= 18


def test_what_surrounds_a_value_states_none_and_takes_none_back() -> None:
    rules = solution_grammar().rules
    around = [rule for rule in rules if rule.startswith("why_") or rule in ("turn", "the_next", "unit", "aside")]
    assert {f"why_{rule}" for rule in ("given", "times", "plus", "power", "series", "derivative")} <= set(around)
    assert len(rules["aside"]) >= 20
    slots = dict.fromkeys(("who", "item", "what", "a", "b", "n"), "pens")
    for rule in around:
        for i in range(60):
            text = solution_grammar().draw(rng_of(rule, i), rule, slots)
            assert not read_sentence(text).numbers, text
            assert not REPAIRS.match(text), text
            assert not re.search(r"\b(?:answer|no|wait|sorry|mean|scratch)\b", text, re.IGNORECASE), text
