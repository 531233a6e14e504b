"""How varied the problems of a run are: templates, operations, and near-copies among them."""

import re
from collections import Counter
from importlib.util import find_spec

from stepforge.filters.minhash import Signatures
from stepforge.pipelines.reports.records import DiversityFigures
from stepforge.schemas.interval import share_of
from stepforge.schemas.labeled import LabeledProblem

LOOKED_AT = 20_000
"""Number of problems, from the first, among which near-copies are counted."""
SIMILARITY = 0.8
_OPERATIONS = {
    "addition": re.compile(r"(?<![eE])\+"),
    "subtraction": re.compile(r"[\w)}]\s*[-\u2212]\s*[\w({\\]"),
    "multiplication": re.compile(r"[*\u00d7\u00b7]|\\times|\\cdot"),
    "division": re.compile(r"/|\u00f7|\\d?frac|\\div"),
    "power": re.compile(r"\^|\*\*"),
    "root": re.compile(r"\\sqrt|\u221a|\bsqrt"),
    "percent": re.compile(r"%"),
    "remainder": re.compile(r"\bmod\b|\\pmod|\bremainder\b|\bgcd\b"),
    "equation": re.compile(r"\b[a-z]\s*=|=\s*[a-z]\b"),
}


class Diversity:
    def __init__(self) -> None:
        self._groups: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()
        self._questions: list[str] = []
        self._problems = 0

    def add(self, row: LabeledProblem) -> None:
        self._problems += 1
        self._groups[row.problem.group] += 1
        right = [solution.rollout.text for solution in row.solutions if solution.rollout.outcome == "correct"]
        text = "\n".join([row.problem.question, *right, row.problem.reference_solution or ""])
        self._operations.update(name for name, pattern in _OPERATIONS.items() if pattern.search(text))
        if len(self._questions) < LOOKED_AT:
            self._questions.append(row.problem.question)

    def figures(self) -> DiversityFigures:
        total = self._problems
        return DiversityFigures(
            problems=total,
            groups=len(self._groups),
            largest_group=max(self._groups.values(), default=0) / total if total else 0.0,
            operations={name: round(count / total, 4) for name, count in self._operations.most_common()},
            near_copies=self._near(numbers=True),
            near_copies_but_for_numbers=self._near(numbers=False),
        )

    def _near(self, *, numbers: bool) -> float | None:
        if find_spec("rensa") is None or not self._questions:
            return None
        signatures = Signatures(len(self._questions), numbers=numbers)
        signatures.add(self._questions)
        share = share_of(len(signatures.earlier(SIMILARITY)), len(self._questions))
        return share.share if share else None
