"""Several requests at once: two tabs, or a page that is reloaded while it is still being searched."""

import threading
from typing import Any

import numpy as np
import pytest
from view_runs import Looking, a_view_run, labeled_rows

from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.viewer import catalog, listing
from stepforge.pipelines.viewer.listing import ListQuery


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return a_view_run(tmp_path_factory.mktemp("view") / "run", labeled_rows(4), per_shard=2)


def test_a_search_that_another_request_continues_is_read_without_an_error(layout: Layout) -> None:
    looking = Looking(layout)
    made = looking.viewer.listing
    before = made.page(ListQuery(q="e"))
    known = made._searches._known[("e",)]

    class Meanwhile(np.ndarray[Any, Any]):
        """Hits; when they are counted, the other request adds those of one more shard."""

        def sum(self, *given: Any, **more: Any) -> Any:
            known[1000 + len(known)] = np.zeros(2, bool)
            return np.asarray(self).sum()

    known[0] = known[0].view(Meanwhile)
    after = made.page(ListQuery(q="e"))
    assert len(known) == 3
    assert (after.lines, after.complete) == (before.lines, True)


def test_a_list_is_not_complete_while_another_request_takes_the_first_look(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, go_on, stamps = Looking(layout), threading.Event(), catalog._stamps
    monkeypatch.setattr(listing, "PATIENCE", 0.05)
    monkeypatch.setattr(catalog, "_stamps", lambda of: stamps(of) if go_on.wait(30) else {})
    first = threading.Thread(target=looking.viewer.listing.page, args=(ListQuery(),))
    first.start()
    try:
        while not looking.viewer.catalog._reading.locked():
            pass
        assert not looking.viewer.listing.page(ListQuery()).complete
    finally:
        go_on.set()
        first.join()
    while not (page := looking.viewer.listing.page(ListQuery())).complete:
        pass
    assert page.known == 4


def test_a_folder_that_cannot_be_listed_is_not_listed_with_every_request(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def fails(of: Layout) -> dict[int, object]:
        looks.append(of)
        raise OSError("the store is away")

    monkeypatch.setattr(catalog, "_stamps", fails)
    looking = Looking(layout)
    with looking as client:
        assert "the store is away" in client.get("/").text
        client.get("/")
    assert len(looks) == 1
