"""A rule of one's own that decides outcomes: an opinion must name the statute and come to a result."""

import re


def names_the_statute(question: str, solution: str) -> bool | None:
    """Return whether a solution is right; None where this rule cannot say."""
    asked = re.search(r"under section (\d+)", question)
    if asked is None:
        return None
    result = re.search(r"Result: (allowed|forbidden)", solution)
    return result is not None and f"section {asked[1]}" in solution
