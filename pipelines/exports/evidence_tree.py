"""The tree that a problem's evidence forms: what went on from which prefix, and how it ended."""

from collections import defaultdict

from schemas.labeled import LabeledProblem, StepLabel
from schemas.rollout import Rollout, Step


class EvidenceTree:
    """Whole step sequences by rollout, and completions by the text of the prefix they start from."""

    def __init__(self, problem: LabeledProblem) -> None:
        solutions = [solution.rollout for solution in problem.solutions]
        self.steps: dict[str, tuple[Step, ...]] = {r.id: r.steps for r in solutions}
        self._from: dict[str, list[Rollout]] = defaultdict(list)
        # Solutions are completions of the bare question only if they were sampled from it by this policy.
        self._from[""].extend(r for r in solutions if r.tokens)
        for rollout in problem.evidence:
            prefix = self._prefix(rollout)
            self.steps[rollout.id] = (*prefix, *rollout.steps)
            self._from["".join(step.text for step in prefix)].append(rollout)

    def completions(self, prefix: str) -> list[Rollout]:
        """Return every completion that starts from a prefix, in the order in which they were drawn."""
        return self._from.get(prefix, [])

    def next_steps(self, prefix: str) -> dict[str, StepLabel]:
        """Return the counts of each step that was written next after a prefix, by the step's text.

        A completion that passes through a step is a sample of going on from it, so these counts estimate the
        value of the prefix that ends with that step.
        """
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for rollout in self.completions(prefix):
            if rollout.steps and rollout.outcome != "undetermined":
                counts[rollout.steps[0].text][rollout.outcome == "correct"] += 1
        return {text: StepLabel(successes=good, failures=bad) for text, (bad, good) in counts.items()}

    def _prefix(self, rollout: Rollout) -> tuple[Step, ...]:
        if rollout.start is None:
            return ()
        return self.steps.get(rollout.start.rollout, ())[: rollout.start.steps]
