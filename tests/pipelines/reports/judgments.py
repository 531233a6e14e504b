"""What labelers said beside the truth."""

from stepforge.pipelines.reports.label_accuracy import Judged
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.problem import Quantity, Truth

TRUTH = Truth(quantities=tuple(Quantity(name=n, expression="", value=v) for n, v in (("A", "1"), ("B", "2"))))


def judged(first: int | None, true: int | None, *, abstained: bool = False, correct: bool = False) -> Judged:
    classes = ("right",) * 3 if true is None else tuple("wrong" if i == true else "right" for i in range(3))
    return Judged(
        Verdict(labeler="x", first_error=first, abstained=abstained),
        Verdict(labeler="oracle", first_error=true, classes=classes),  # type: ignore[arg-type]
        correct,
    )
