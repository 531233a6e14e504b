"""Your own rule for outcomes: an opinion must name the statute and reach a result."""

import re


def names_the_statute(question: str, solution: str) -> bool | None:
    """Whether a solution is right; None if this rule cannot tell."""
    asked = re.search(r"under section (\d+)", question)
    if asked is None:
        return None
    result = re.search(r"Result: (allowed|forbidden)", solution)
    return result is not None and f"section {asked[1]}" in solution
