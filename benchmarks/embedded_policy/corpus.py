"""What the embedded policies read in training: solutions in plain and in free wording, solutions to check, and those
of the domains whose steps deduce, move or call a tool."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from transformers import PreTrainedTokenizerFast

from benchmarks.embedded_policy.changed_programs import planted_bugs
from benchmarks.embedded_policy.free_solutions import free_solution
from benchmarks.embedded_policy.mistakes import mistaken, right
from benchmarks.embedded_policy.slips import Piece, solution
from benchmarks.embedded_policy.verdict_corpus import HELD_OUT, check
from stepforge.generators.draft import Draft
from stepforge.generators.families import ALL_FAMILIES, DOMAINS, Plans
from stepforge.generators.family import ProblemFamily, WorkedFamily, free_question
from stepforge.schemas.seeds import rng_of

IGNORED = -100
SLIP_SHARE = 0.5
TRAINING_SEED = 7_000_003
"""Kept apart from every run seed that the configs use, so that no demo problem was trained on by its seed."""


LEVELS = (1, 1, 2, 2, 3, 3, 4, 4, 5, 6)
"""Easy ones more often: they teach the steps that all levels have, and are cheaper."""
LONG_LEVELS = (*LEVELS, 7)
LONGEST_EXAMPLE = 1024
"""Tokens; longer ones are left out."""
DOMAIN_LEVELS = (1, 1, 2)
PUZZLES = ("jugs", "grid")
"""The kinds of plans that are learned; the others would need longer training."""
DOMAIN_ORDER = (0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 3)
"""Logic, plans and tools take turns, with a program now and then: those are learned first."""
DOMAIN_SLIPS = 0.3


class Example(NamedTuple):
    """Token ids, and the same ids with everything that carries no loss replaced by ``IGNORED``."""

    ids: list[int]
    labels: list[int]


class Mix(NamedTuple):
    """Shares of the examples: in free or long wording, to check, of the domains; the others are to solve in plain
    wording."""

    free: float
    check: float
    repair: float
    """Share of slips that are repaired; with it the policy's recovery rate rises and falls."""
    domains: float = 0.0
    long: float = 0.0
    """Share of long wording in those in free or long wording."""


def examples(tokenizer: PreTrainedTokenizerFast, start: int, mix: Mix) -> Iterator[Example]:
    """Yield training examples from number ``start`` on; example ``i`` does not depend on earlier ones."""
    families = [family(levels=LEVELS) for family in ALL_FAMILIES]
    longer = [family(levels=tuple(n for n in LONG_LEVELS if n <= family.max_level)) for family in ALL_FAMILIES]
    domains = domain_families(DOMAIN_LEVELS)
    index = start
    while True:
        if rng_of(TRAINING_SEED, "domain", index).random() < mix.domains:
            domain = domains[DOMAIN_ORDER[index % len(DOMAIN_ORDER)]]
            yield to_learn(tokenizer, *domain_solution(domain, TRAINING_SEED, index))
            index += 1
            continue
        family = families[index % len(families)]
        task, rng = rng_of(TRAINING_SEED, "task", index).random(), rng_of(TRAINING_SEED, "slip", index)
        long = task < mix.free * mix.long
        draft, _ = (longer[index % len(families)] if long else family).draw(TRAINING_SEED, index)
        if task < mix.free:
            learned = to_learn(tokenizer, *_free(draft, rng, mix.repair, long=long))
            if len(learned.ids) <= LONGEST_EXAMPLE:
                yield learned
        elif task < mix.free + mix.check and family.kind != HELD_OUT:
            shown, critique = check(draft, rng)
            yield to_learn(tokenizer, shown, [Piece(critique)])
        else:
            pieces = solution(draft, rng, slip_share=SLIP_SHARE, repair_share=mix.repair)
            yield to_learn(tokenizer, f"{draft.plain_question}\n", pieces)
        index += 1


def domain_families(levels: tuple[int, ...]) -> list[ProblemFamily]:
    """Return the families whose steps deduce, move, call a tool or are statements, as the policy learns them."""
    return [family(levels=levels, **({"puzzles": PUZZLES} if family is Plans else {})) for family in DOMAINS]


def domain_solution(family: ProblemFamily, seed: int, index: int) -> tuple[str, list[Piece]]:
    """Return the prompt of item ``index`` and a solution of it, one in three with a mistake."""
    rng = rng_of(seed, "slip", index)
    slips = rng.random() < DOMAIN_SLIPS
    if isinstance(family, WorkedFamily):
        worked, _ = family.worked(seed, index)
        return f"{worked.question}\n", mistaken(worked, rng) if slips else right(worked)
    problem = family.item(seed, index)
    program = problem.known_solution or ""
    bug = next(planted_bugs(program, rng), None) if slips else None
    if bug is None:
        return f"{problem.question}\n", [Piece(program)]
    lines = bug.text.splitlines(keepends=True)
    before, after = "".join(lines[: bug.at]), "".join(lines[bug.at + 1 :])
    return f"{problem.question}\n", [Piece(before), Piece(lines[bug.at], learn=False), Piece(after)]


def _free(draft: Draft, rng: Random, repair_share: float, *, long: bool) -> tuple[str, list[Piece]]:
    lines = free_solution(draft, rng, slip_share=SLIP_SHARE, repair_share=repair_share, long=long)
    return f"{free_question(draft, rng, long=long)}\n", [piece for line in lines for piece in line.pieces]


def to_learn(tokenizer: PreTrainedTokenizerFast, prompt: str, pieces: list[Piece]) -> Example:
    """Return an example that learns the pieces that are to be learned, and the end of text."""
    ids = tokenizer.encode(prompt)
    labels = [IGNORED] * len(ids)
    for text, learn in _joined(pieces):
        new = tokenizer.encode(text)
        ids += new
        labels += new if learn else [IGNORED] * len(new)
    end = tokenizer.eos_token_id
    return Example([*ids, end], [*labels, end])


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Join neighbors that are learned: fewer texts to encode, and the tokens that the whole text has."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].learn and piece.learn:
            joined[-1] = Piece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined
