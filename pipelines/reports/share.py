"""Shares with their intervals, as reports hold them."""

from stepforge.schemas.interval import wilson
from stepforge.schemas.record import Record


class Share(Record):
    """A share with its 95 % Wilson interval; steps of one problem are not independent, so it is a little narrow."""

    share: float
    low: float
    high: float


def share_of(part: int, whole: int) -> Share | None:
    if not whole:
        return None
    low, high = wilson(part, whole)
    return Share(share=round(part / whole, 5), low=round(low, 5), high=round(high, 5))
