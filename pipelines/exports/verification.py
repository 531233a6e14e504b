"""Verification chains: a critique of each step that ends in a verdict, to train a verifier that thinks first.

A chain goes up to the first wrong step and stops there. It is kept only if every verdict in it agrees with the step's
label, so two opinions support each row: the labeler's, and the judge's or the truth's.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.critiques import judged_critiques, worked_critiques
from stepforge.pipelines.exports.last_problem import truths_of
from stepforge.pipelines.exports.marked import Marked, StepLabels
from stepforge.pipelines.exports.rows import Origin, Turn, json_lines, origin, own_columns_first
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record

INSTRUCTION = "Go through the steps in order. Say for each whether it is correct, and stop at the first that is not."
Source = Literal["judge", "truth"]


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
                messages=turns,
                labels=chain.verdicts,
                critique_from=chain.source,
                **origin(problem, marked.solution),
            )

    def chains(self, problem: LabeledProblem) -> Iterator[tuple[Marked, Chain, tuple[Turn, ...]]]:
        """Yield each such solution with its chain, and the chain as a conversation."""
        for marked in self.marked(problem):
            chains = (_chain(source, problem, marked) for source in self.critiques)
            chain = next((c for c in chains if c is not None), None)
            if chain is not None:
                turns = _one_answer if self.style == "think_prm" else _turn_by_turn
                yield marked, chain, turns(problem.problem.question, marked.steps, chain)


class ProofVerification(Verification):
    """Also written as JSON lines."""

    kind: Literal["proof_verification"] = "proof_verification"  # type: ignore[assignment]
    row = ProofVerificationRow
    style: Literal["think_prm"] = "think_prm"
    critiques: tuple[Source, ...] = ("judge", "truth")

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


def _chain(source: Source, problem: LabeledProblem, marked: Marked) -> Chain | None:
    return _judges_chain(marked) if source == "judge" else _true_chain(problem, marked)


def _judges_chain(marked: Marked) -> Chain | None:
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
