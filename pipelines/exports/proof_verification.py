"""NeMo Gym's ``proof_verification`` rows: a solution to be judged, the verdict, and what is wrong with it."""

from collections.abc import Iterator
from typing import Literal

from stepforge.pipelines.exports.rows import Origin, origin, own_columns_first
from stepforge.pipelines.exports.verification import Source, Verification
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


@own_columns_first
class ProofVerificationRow(Origin):
    """What its ``prepare_data.py`` reads."""

    problem: str
    proof: str
    """The whole solution, also after its first error."""
    ground_truth_judgement: str
    """What is said of each step up to the first error."""
    ground_truth_verify_score: float
    """1 without an error, else 0; the 0.5 for minor flaws is never given."""
    critique_from: str
    """``judge`` or ``truth``."""


class ProofVerification(Verification):
    """JSON lines lie beside the Parquet files."""

    kind: Literal["proof_verification"] = "proof_verification"  # type: ignore[assignment]
    row = ProofVerificationRow
    style: Literal["think_prm"] = "think_prm"
    critiques: tuple[Source, ...] = ("judge", "truth")

    @property
    def writes_json_lines(self) -> bool:
        return True

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
