"""Grade answers and cut a solution into steps."""

import stepforge


def main() -> None:
    """Print verdicts and steps."""
    pairs = [
        ("1/2", r"So the answer is $\boxed{\frac{1}{2}}$."),
        ("#### 18", "She earns 9 * 2 = $18 every day.\n#### 18"),
        ("20", "I think it is 21."),
    ]
    for (answer, _), grade in zip(pairs, stepforge.grade_all(pairs), strict=True):
        print(f"{grade.outcome}: {grade.extracted} against {answer}")
    for number, step in enumerate(stepforge.cut("First, 3 + 4 = 7.\n\nThen 7 * 2 = 14.\n\nAnswer: 14", "blank_line")):
        print(number, repr(step))


if __name__ == "__main__":
    main()
