"""The ``states`` export: OmegaPRM's own product, every state of a question that was estimated, and the tree they form.

A state is a question with some steps that the policy wrote, in a given solution or in a completion of another state
(arXiv 2406.06592, section 3.3). ``omega_prm`` with ``grow`` draws many of them at a budget (``search_limit``, ``k``).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from stepforge.labelers.evidence.replay import completions_drawn
from stepforge.labelers.evidence.store import count_outcomes
from stepforge.pipelines.exports.contract import Export, ProblemOrigin, asked, own_columns_first, problem_origin
from stepforge.schemas.interval import wilson
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.rollout import Rollout, Step


@own_columns_first
class StateRow(ProblemOrigin):
    """A prefix of a solution and how completions of it ended."""

    prompt: str
    """What the policy was given, without the steps."""
    steps: tuple[str, ...]
    state: int
    """Number of the state among those of its question; 0 is the question itself."""
    parent: int
    """Number of the longest state that this one extends, -1 for the question."""
    successes: int
    trials: int
    value: float
    """Share of completions that reach the right answer. Unbiased if the number of completions was fixed in advance; too
    high if sampling stopped at the first success."""
    low: float
    """95 % Wilson interval."""
    high: float


class States(Export):
    """A row for each state with a completion whose outcome is known."""

    kind: Literal["states"] = "states"
    row = StateRow
    task = "token-classification"
    needs_completions = True

    def rows(self, problem: LabeledProblem) -> Iterator[StateRow]:
        above: list[tuple[str, int]] = []
        counted = ((steps, count_outcomes(drawn)) for steps, drawn in _completions(problem))
        for number, (steps, label) in enumerate((steps, label) for steps, label in counted if label.trials):
            text = "".join(step.text for step in steps)
            low, high = wilson(label.successes, label.trials)
            while above and not text.startswith(above[-1][0]):
                above.pop()
            yield StateRow(
                prompt=asked(problem),
                steps=tuple(step.text for step in steps),
                state=number,
                parent=above[-1][1] if above else -1,
                successes=label.successes,
                trials=label.trials,
                value=label.successes / label.trials,
                low=low,
                high=high,
                **problem_origin(problem),
            )
            above.append((text, number))


def _completions(problem: LabeledProblem) -> list[tuple[tuple[Step, ...], list[Rollout]]]:
    """Return the completions of each prefix, a prefix before its continuations."""
    drawn: dict[str, list[Rollout]] = defaultdict(list, {"": list(problem.sampled)})
    prefixes: dict[str, tuple[Step, ...]] = {"": ()}
    for prefix, rollout in completions_drawn(problem):
        text = "".join(step.text for step in prefix)
        prefixes[text] = prefix
        drawn[text].append(rollout)
    return [(prefixes[text], drawn[text]) for text in sorted(drawn)]
