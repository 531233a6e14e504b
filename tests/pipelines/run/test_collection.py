"""Cycles are looked for seldom, and still found."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from stepforge.pipelines.run.garbage_collection import YOUNG_OBJECTS, collect_seldom


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Node:
    def __init__(self) -> None:
        self.me = self


def test_a_cycle_is_found_once_enough_is_new() -> None:
    collect_seldom()
    lost = weakref.ref(Node())
    kept = [[] for _ in range(YOUNG_OBJECTS // 2)]
    assert lost() is not None
    kept += [[] for _ in range(YOUNG_OBJECTS)]
    assert lost() is None
