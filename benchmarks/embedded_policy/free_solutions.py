"""Solutions in free wording, every sentence drawn from the grammar.

A solution's lines say what they are: a step that holds, one with a slip or that builds on one, one that repairs it, a
remark, a check, a restatement or an abandoned attempt. The policy learns from these solutions, and the oracle is
measured on them.
"""

from random import Random

from benchmarks.embedded_policy.free_lines import Line, Mark, Writer
from benchmarks.embedded_policy.long_lines import LongWriter
from benchmarks.embedded_policy.slips import consistent, slipped
from benchmarks.embedded_policy.step_sentences import Part, step_sentences
from stepforge.generators.draft import Draft
from stepforge.schemas.problem import Quantity


def free_solution(
    draft: Draft, rng: Random, *, slip_share: float, repair_share: float, part: Part = "all", long: bool = False
) -> list[Line]:
    """Return a solution: honest, or with one slip that is repaired at once, a step later, or never."""
    quantities, answer = draft.solved()
    truth = {q.name: q for q in quantities}
    order = _order(draft, [q.name for q in quantities], rng)
    writer = (LongWriter if long else Writer)(draft, rng, part)
    if rng.random() >= slip_share:
        return writer.write([(truth[name], "step") for name in order], str(answer))
    at = rng.choice(order)
    wrong, wrong_answer = slipped(draft, rng, [q.name for q in quantities].index(at))
    place = order.index(at)
    steps: list[tuple[Quantity, Mark]] = [(truth[name], "step") for name in order[:place]]
    steps.append((wrong[at], "slip"))
    if rng.random() >= repair_share:
        after = [wrong[name] for name in _order(draft, list(wrong), rng) if name not in order[:place] and name != at]
        if not all(map(consistent, after)):
            return free_solution(draft, rng, slip_share=slip_share, repair_share=repair_share, part=part, long=long)
        steps += [(quantity, _mark(draft, quantity, truth)) for quantity in after]
        return writer.write(steps, str(wrong_answer), right=str(answer) == str(wrong_answer))
    for later in order[place + 1 : place + 2]:
        carries = later in wrong and at in _inputs(draft, later, order) and consistent(wrong[later])
        if carries and rng.random() < 0.25:
            steps.append((wrong[later], _mark(draft, wrong[later], truth)))
    steps.append((truth[at], "repair"))
    steps += [(truth[name], "step") for name in order[place + 1 :]]
    return writer.write(steps, str(answer))


def _mark(draft: Draft, quantity: Quantity, truth: dict[str, Quantity]) -> Mark:
    """Return the class of a step after a slip: one that names nothing is right if it is right of some quantity."""
    named = "who" in step_sentences(draft).of(quantity.name).slots
    same = [truth[quantity.name]] if named and quantity.name in truth else truth.values()
    said = (quantity.expression, quantity.value)
    return "step" if any((q.expression, q.value) == said for q in same) else "carried"


def _inputs(draft: Draft, name: str, order: list[str]) -> tuple[str, ...]:
    needs = step_sentences(draft).needs
    return tuple(order[: order.index(name)]) if needs is None else needs(name)


def _order(draft: Draft, names: list[str], rng: Random) -> list[str]:
    """Return the steps in an order in which each comes after those that it needs."""
    if (needs := step_sentences(draft).needs) is None:
        return names
    left, order = list(names), []
    while left:
        ready = [name for name in left if not set(needs(name)) & set(left)]
        order.append(rng.choice(ready))
        left.remove(order[-1])
    return order
