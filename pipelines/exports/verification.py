"""Verification chains: a critique of each step that ends in a verdict, to train a verifier that thinks first.

A chain goes up to the first wrong step and stops there. It is kept only if every verdict in it agrees with the step's
label, so two opinions support each row: the labeler's, and the judge's or the truth's. A critique is the judge's own
words, or the step derived from the truth. A step's counts would make one too ("7 of 8 end right"), but a verifier
trained on that learns to claim samples that it never drew.
"""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple

from stepforge.grading.exact import ExactError, evaluate
from stepforge.grading.statement import ANSWER, Claim, read_claim
from stepforge.labelers.verdict_text import VERDICT
from stepforge.pipelines.exports.contract import Export, Origin, Turn, json_lines, origin, own_columns_first
from stepforge.pipelines.exports.last_problem import truths_of
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem, Quantity
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Step

_OPENING = re.compile(
    r"[ \t]*(?:<|#{1,6}[ \t]*|\*\*)?(?:[Ss]tep[ \t]+)?(\d{1,4})\b[^\n]{0,40}?(?:>|:|\.|\))[ \t]*(?:\*\*)?"
)
"""How a judge opens its text about a step: ``<3>``, ``3.``, ``Step 3:``, ``## Step 3:``."""
INSTRUCTION = "Go through the steps in order. Say for each whether it is correct, and stop at the first that is not."
Source = Literal["judge", "truth"]


def judged_critiques(words: str, steps: int) -> tuple[str, ...] | None:
    """Cut a judge's words into one piece for each of the first ``steps`` steps; None unless they can be told apart."""
    pieces: list[list[str]] = []
    for line in words.splitlines():
        opening = _OPENING.match(line)
        if opening and int(opening[1]) == len(pieces) + 1:
            pieces.append([line[opening.end() :]])
        elif pieces and not line.startswith(VERDICT):
            pieces[-1].append(line)
    texts = tuple("\n".join(piece).strip() for piece in pieces)
    return texts if len(texts) == steps and all(texts) else None


def worked_critiques(problem: Problem, steps: Sequence[Step]) -> tuple[str, ...] | None:
    """Derive each step from the truth; None unless each makes exactly one claim."""
    if problem.truth is None or problem.truth.reading == "calls":  # a call and its answer are two steps of one claim
        return None
    known = {q.name: q for q in problem.truth.quantities}
    if problem.answer is not None:
        known[ANSWER] = Quantity(name=ANSWER, expression="", value=problem.answer)
    texts = []
    for step in steps:
        claims = [claim for claim in map(read_claim, step.text.splitlines()) if claim is not None]
        if len(claims) != 1:
            return None
        texts.append(_worked(claims[0], known.get(claims[0].name)))
    return tuple(texts)


def _worked(claim: Claim, true: Quantity | None) -> str:
    *sides, stated = claim.sides
    if true is None:
        return f"The problem has no quantity called {claim.name}."
    for side in sides:
        value = _value(side)
        if value is not None and value != _value(stated):
            return f"{side} comes to {value}, and the step says {stated}."
    derived = f"{true.expression} = {true.value}" if true.expression else true.value
    if _value(stated) == _value(true.value):
        return f"{claim.name} is {derived}. The step says {stated}."
    return f"{claim.name} should be {derived}. The step says {stated}."


def _value(text: str) -> str | None:
    try:
        return str(evaluate(text))
    except ExactError:
        return None


@own_columns_first
class VerificationRow(Origin):
    """A conversation for any chat trainer, with the loss on the assistant's turns."""

    messages: tuple[Turn, ...]
    labels: tuple[bool, ...]
    """The verdicts in the chain, which are the labels."""
    critique_from: str
    """``judge`` or ``truth``."""


@own_columns_first
class ProofVerificationRow(Origin):
    """What its ``prepare_data.py`` reads."""

    problem: str
    proof: str
    """The whole solution, also after its first error."""
    ground_truth_judgement: str
    """The critique of each step up to the first error."""
    ground_truth_verify_score: float
    """1 without an error, else 0; the 0.5 for minor flaws is never given."""
    critique_from: str
    """``judge`` or ``truth``."""


class Chain(NamedTuple):
    critiques: tuple[str, ...]
    verdicts: tuple[bool, ...]
    source: Source


class Verification(StepLabels, Export):
    """ThinkPRM's style is one answer for all steps, GenPRM's one turn per step."""

    kind: Literal["verification"] = "verification"
    row: ClassVar[type[Record]] = VerificationRow
    after_first_error: Literal["drop"] = "drop"
    style: Literal["think_prm", "gen_prm"] = "think_prm"
    critiques: tuple[Source, ...] = ("judge", "truth")
    """Sources of critiques, the preferred first. ``truth`` exists only for procedural problems."""

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for marked, chain, turns in self.chains(problem):
            yield VerificationRow(
                messages=turns, labels=chain.verdicts, critique_from=chain.source, **origin(problem, marked.solution)
            )

    def chains(self, problem: LabeledProblem) -> Iterator[tuple[Marked, Chain, tuple[Turn, ...]]]:
        """Yield each such solution with its chain, and the chain as a conversation."""
        for marked in self.marked(problem):
            by = {"judge": _judges_chain, "truth": _true_chain}
            chain = next(filter(None, (by[source](problem, marked) for source in self.critiques)), None)
            if chain is not None:
                turns = _one_answer if self.style == "think_prm" else _turn_by_turn
                yield marked, chain, turns(problem.problem.question, marked.steps, chain)


class ProofVerification(Verification):
    """Also written as JSON lines."""

    kind: Literal["proof_verification"] = "proof_verification"  # type: ignore[assignment]
    row = ProofVerificationRow
    style: Literal["think_prm"] = "think_prm"

    def lines_beside(self, file: str) -> str:
        return json_lines(file)

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        for marked, chain, turns in self.chains(problem):
            yield ProofVerificationRow(
                problem=problem.problem.question,
                proof=marked.solution.rollout.text,
                ground_truth_judgement=turns[-1].content,
                ground_truth_verify_score=float(all(chain.verdicts)),
                critique_from=chain.source,
                **origin(problem, marked.solution),
            )


def _judges_chain(problem: LabeledProblem, marked: Marked) -> Chain | None:
    count, solution = len(marked.steps), marked.solution
    for verdict in (solution.verdict, *solution.others):
        if verdict.critique is None or verdict.abstained:
            continue
        last = len(solution.rollout.steps) if verdict.first_error is None else verdict.first_error + 1
        critiques = judged_critiques(verdict.critique, last)
        if critiques is not None and last == count:
            verdicts = tuple(i != verdict.first_error for i in range(count))
            return Chain(critiques, verdicts, "judge") if verdicts == marked.labels else None
    return None


def _true_chain(problem: LabeledProblem, marked: Marked) -> Chain | None:
    steps = marked.solution.rollout.steps[: len(marked.steps)]
    if problem.problem.truth is None:
        return None
    classes = (truths_of(problem)[marked.solution.rollout.id].classes or ())[: len(steps)]
    verdicts = tuple(c == "right" for c in classes)
    if "unknown" in classes or verdicts != marked.labels:
        return None
    critiques = worked_critiques(problem.problem, steps)
    return None if critiques is None else Chain(critiques, verdicts, "truth")


def _one_answer(question: str, steps: tuple[str, ...], chain: Chain) -> tuple[Turn, ...]:
    shown = "\n\n".join(f"Step {i}: {step}" for i, step in enumerate(steps, 1))
    said = "\n\n".join(
        f"Step {i}: {critique} The step is \\boxed{{{'correct' if right else 'incorrect'}}}."
        for i, (critique, right) in enumerate(zip(chain.critiques, chain.verdicts, strict=True), 1)
    )
    asked = f"Problem:\n{question}\n\nSolution:\n{shown}\n\n{INSTRUCTION}"
    return Turn(role="user", content=asked), Turn(role="assistant", content=said)


def _turn_by_turn(question: str, steps: tuple[str, ...], chain: Chain) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for i, (step, critique, right) in enumerate(zip(steps, chain.critiques, chain.verdicts, strict=True)):
        shown = step if i else f"Problem: {question}\n\n{step}"
        verdict = f"**Judgement**: $\\boxed{{{'Yes' if right else 'No'}}}$"
        said = f"<analyze>\n{critique}\n</analyze>\n<output>\n{verdict}\n</output>"
        turns += [Turn(role="user", content=shown), Turn(role="assistant", content=said)]
    return tuple(turns)
