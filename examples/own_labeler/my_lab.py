"""Your own labeler: the first step whose completions all fail, from two completions per step."""

from pydantic import Field

from stepforge import Grader, LabeledProblem, MathShepherd, Policy, Record, SolvedProblem


class TwoTries(Record):
    """A part is a record: its fields are its settings in the run file."""

    name: str = "two_tries"
    tries: int = Field(default=2, ge=1)

    async def __call__(self, solved: SolvedProblem, policy: Policy, grader: Grader, *, seed: int) -> LabeledProblem:
        """Label with a small Math-Shepherd, under its own name."""
        row = await MathShepherd(k=self.tries, curtailed=True)(solved, policy, grader, seed=seed)
        solutions = tuple(
            solution.model_copy(update={"verdict": solution.verdict.model_copy(update={"labeler": self.name})})
            for solution in row.solutions
        )
        costs = tuple(cost.model_copy(update={"labeler": self.name}) for cost in row.costs)
        return row.model_copy(update={"solutions": solutions, "costs": costs})
