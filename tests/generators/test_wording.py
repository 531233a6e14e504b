"""Free wording: many forms for every kind of step, the same problems, and solutions that say what each line is."""

import re
from itertools import combinations
from random import Random

import pytest

from benchmarks.embedded_policy.free_lines import Line, in_words
from benchmarks.embedded_policy.free_solutions import free_solution
from benchmarks.embedded_policy.step_sentences import Part, solution_grammar
from stepforge.generators.families import ALL_FAMILIES
from stepforge.generators.family import Family, Wording, free_question
from stepforge.generators.wording.grammar import Grammar, read_grammar
from stepforge.grading.exact import evaluate
from stepforge.grading.final_answer import stated_answer
from stepforge.grading.number_words import in_digits
from stepforge.schemas.seeds import rng_of

every_family = pytest.mark.parametrize("family", ALL_FAMILIES)
STEPS = (
    "given times more fewer half together plus minus product bracket collect slope move unknown remainder power "
    "affine series multiple total derivative term adding percent lower higher several joined coupon fee change "
    "area hole rest half_around around doors compared covering spare"
)
LEVELS = (1, 2, 3, 4, 5, 6)
PARTS: tuple[Part, ...] = ("all", "tuning", "held_out")


def drawn(family: type[Family], count: int, slip_share: float = 0.0, repair_share: float = 0.0) -> list[list[Line]]:
    part = family(levels=LEVELS)
    return [
        free_solution(part.draw(3, i)[0], rng_of("wording", i), slip_share=slip_share, repair_share=repair_share)
        for i in range(count)
    ]


def texts_of(grammar: Grammar, form: str) -> int:
    """Return how many texts a form can draw, slots left open."""
    product = 1
    for inline, rule in re.findall(r"\(([^()]*\|[^()]*)\)|<(\w+)>", form):
        product *= sum(texts_of(grammar, one) for one in (grammar.rules[rule] if rule else inline.split("|")))
    return product


@pytest.mark.parametrize("rule", STEPS.split())
def test_every_kind_of_step_has_many_forms(rule: str) -> None:
    assert texts_of(solution_grammar(), f"<{rule}>") >= 1000


def test_a_rule_is_counted_and_drawn_as_it_is_written() -> None:
    grammar = read_grammar("[a]\n(x|y) <b>\n# no form\n{slot}!\n[b]\nz\n<c> w\n[c]\n(1|2|3)")
    assert texts_of(grammar, "<a>") == 2 * (1 + 3) + 1
    texts = {grammar.draw(Random(i), "a", {"slot": "hi"}) for i in range(300)}
    assert texts == {"x z", "y z", "x 1 w", "x 2 w", "x 3 w", "y 1 w", "y 2 w", "y 3 w", "Hi!"}


@pytest.mark.parametrize("text", ["[a]\n<b>", "[a]\n[b]\nx", "[a]\nx\n[a]\ny"])
def test_a_broken_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rule [ab]"):
        read_grammar(text)


def test_held_out_forms_are_never_drawn_in_tuning() -> None:
    rules, tuning, held_out = (solution_grammar(part).rules for part in PARTS)
    assert all(
        rules[rule] == tuning[rule] == held_out[rule] or not {*tuning[rule]} & {*held_out[rule]} for rule in rules
    )
    assert sum(len(held_out[rule]) < len(forms) for rule, forms in rules.items()) > 30


@pytest.mark.parametrize("wording", ["free", "long"])
@every_family
def test_wording_changes_the_question_and_nothing_else(family: type[Family], wording: Wording) -> None:
    plain, free = family(levels=LEVELS), family(levels=LEVELS, wording=wording)
    for i in range(40):
        a, b = plain.item(5, i), free.item(5, i)
        assert (a.answer, a.group, a.difficulty) == (b.answer, b.group, b.difficulty)
        assert a.truth is not None and b.truth is not None
        assert a.truth.quantities == b.truth.quantities
        assert (a.truth.reading, b.truth.reading) == ("lines", "sentences")
        assert b.source == f"{a.source}_{wording}"
        assert "{" not in b.question
        assert a.question != b.question
        assert b == free.item(5, i)


@every_family
def test_a_question_has_many_wordings(family: type[Family]) -> None:
    draft, _ = family(levels=(3,)).draw(5, 0)
    assert len({free_question(draft, Random(i)) for i in range(60)}) > 6


@every_family
def test_honest_solutions_hold_every_quantity_and_end_in_the_answer(family: type[Family]) -> None:
    part = family(levels=LEVELS)
    for i, lines in enumerate(drawn(family, 60)):
        draft, _ = part.draw(3, i)
        quantities, answer = draft.solved()
        assert [line.mark for line in lines].count("answer") == 1
        assert sum(line.mark in ("step", "corrected") for line in lines) == len(quantities)
        assert all(line.right for line in lines)
        stated = stated_answer("".join(line.text for line in lines))
        assert stated is not None
        assert evaluate(stated) == evaluate(str(answer))


@every_family
def test_slips_are_marked_and_only_wrong_values_are_not_learned(family: type[Family]) -> None:
    seen = set()
    for lines in drawn(family, 120, slip_share=1.0, repair_share=0.5):
        marks = [line.mark for line in lines]
        seen.update(marks)
        assert marks.count("slip") == 1
        at = marks.index("slip")
        assert all(line.right for line in lines[:at])
        assert not lines[at].right
        assert any(not piece.learn for piece in lines[at].pieces)
        if "repair" in marks:
            assert all(line.right for line in lines[marks.index("repair") :])
        unlearned = [
            p.text for line in lines if line.mark not in ("slip", "corrected") for p in line.pieces if not p.learn
        ]
        assert not unlearned
    assert {"repair", "carried", "remark", "answer"} <= seen


def test_siblings_share_a_first_step_in_under_five_percent_of_pairs() -> None:
    shared = pairs = 0
    for family in ALL_FAMILIES:
        for i in range(12):
            draft, _ = family(levels=(2, 3, 4)).draw(11, i)
            first = [
                free_solution(draft, rng_of("sibling", i, j), slip_share=0, repair_share=0)[0].text for j in range(6)
            ]
            pairs += 15
            shared += sum(a == b for a, b in combinations(first, 2))
    assert shared / pairs < 0.05


def test_independent_steps_come_in_many_orders() -> None:
    part = ALL_FAMILIES[0](levels=(6,), wording="free")
    draft, _ = part.draw(3, 0)
    orders = set()
    for i in range(30):
        lines = free_solution(draft, Random(i), slip_share=0, repair_share=0)
        orders.add(tuple(sorted(range(len(lines)), key=lambda k: [line.text for line in lines][k])))
    assert len(orders) > 20


@pytest.mark.parametrize("text", ["7 + 3", "21 * 4 - 1", "84 mod 36", "90 / 2"])
def test_numbers_in_words_are_read_back(text: str) -> None:
    assert evaluate(in_digits(in_words(text))) == evaluate(text)
    assert not any(c.isdigit() for c in in_words(text))


@pytest.mark.parametrize("text", ["one side", "the last two", "one of them", "another way"])
def test_number_words_that_name_no_number_stay(text: str) -> None:
    assert in_digits(text) == text
