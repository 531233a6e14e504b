"""Label your own solutions with a model that is a plain async function."""

import random
import re

import stepforge

QUESTION = "Start with 7. Add 5. Double it. Subtract 4. What do you get?"
CHANGES = ("+ 5", "* 2", "- 4")
SOLUTIONS = (
    "7 + 5 = 12\n12 * 2 = 24\n24 - 4 = 20\nAnswer: 20",
    "7 + 5 = 12\n12 * 2 = 22\n22 - 4 = 18\nAnswer: 18",
)


async def complete(text: str, seed: int) -> str:
    """Continue from any prefix. Call your model here; this one computes, and errs once in ten lines."""
    draw = random.Random(f"{seed} {text}")
    values = [7, *(int(found) for found in re.findall(r"= (\d+)", text))]
    lines = []
    for change in CHANGES[len(values) - 1 :]:
        sign, number = change.split()
        value = {"+": values[-1] + int(number), "*": values[-1] * int(number), "-": values[-1] - int(number)}[sign]
        values.append(value + (draw.random() < 0.1))
        lines.append(f"{values[-2]} {change} = {values[-1]}")
    return "\n".join([*lines, f"Answer: {values[-1]}"])


def main() -> None:
    """Print the first wrong step of each solution."""
    task = stepforge.Task(question=QUESTION, answer="20", solutions=SOLUTIONS)
    (labeled,) = stepforge.label_solutions([task], "math_shepherd", engine=complete)
    for solution in labeled.solutions:
        values = [None if label is None else label.value for label in solution.labels]
        print(f"{solution.rollout.outcome}: first error {solution.verdict.first_error}, values {values}")


if __name__ == "__main__":
    main()
