"""A list of problems: the query, the matches, their order, and one page of them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import numpy as np
from pydantic import Field, ValidationError

from stepforge.pipelines.run_folder.row_index import STATES, Columns, Ints
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.pipelines.viewer.catalog import Address, Catalog, Flags, address_of
from stepforge.pipelines.viewer.text_search import Searches, words_of
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.record import Record

PAGE = 50
PATIENCE = 0.6
"""Seconds that a page waits for more data; then it shows what is known so far."""
Sort = Literal["order", "uncertainty", "disagreement", "pass_rate"]
State = Literal["labeled", "rejected", "failed", "solved", "generated"]


class ListQuery(Record):
    """The query of a list; its fields are the URL's parameters."""

    q: str = Field(default="", max_length=200)
    domain: str = ""
    outcome: Literal["", "right", "wrong", "undetermined"] = ""
    """At least one solution has this outcome."""
    labeler: str = ""
    """The labeler for ``verdict``; empty means any."""
    verdict: Literal["", "wrong_step", "no_wrong_step", "abstains"] = ""
    disagree: Literal["", "1"] = ""
    unsure: float | Literal[""] = ""
    """At least this uncertainty, 0 to 1."""
    state: State | Literal[""] = ""
    sort: Sort = "order"
    page: int = Field(default=1, ge=1, le=10_000_000)

    def with_(self, **changes: object) -> str:
        """Return the URL's parameters with some changes; defaults are omitted."""
        asked = self.model_copy(update=changes).model_dump()
        return urlencode({k: v for k, v in asked.items() if v != type(self).model_fields[k].default})


def asked_for(parameters: Mapping[str, str]) -> ListQuery:
    """Return the query in a URL; invalid parameters are ignored."""
    known = {name: value for name, value in parameters.items() if name in ListQuery.model_fields}
    try:
        return ListQuery.model_validate(known)
    except ValidationError as error:
        bad = {str(e["loc"][0]) for e in error.errors()}
        return ListQuery.model_validate({name: value for name, value in known.items() if name not in bad})


class Line(NamedTuple):
    place: int
    """Its number in the list, from 1."""
    address: Address
    id: str
    question: str
    domain: str
    state: str
    right: int
    wrong: int
    undetermined: int
    found: tuple[str, ...]
    """The labelers that find a wrong step."""
    disagree: int
    uncertainty: float | None


class Page(NamedTuple):
    query: ListQuery
    lines: list[Line]
    fitting: int
    """Matching problems, as far as known."""
    known: int
    searched: int | None
    complete: bool
    """Whether all that is committed was read and searched."""

    @property
    def searching(self) -> bool:
        return self.searched is not None and self.searched < self.known


class Listing:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._searches = Searches(catalog)

    def page(self, query: ListQuery) -> Page:
        """Return a page of what is known after a moment."""
        first = (query.page - 1) * PAGE
        order, columns, searched, complete = self.order(query, first + PAGE)
        places = order[first : first + PAGE]
        texts = _texts(self._catalog.layout, [address_of(columns, int(place)) for place in places])
        lines = [self._line(columns, int(p), first + i + 1, texts) for i, p in enumerate(places)]
        return Page(query, lines, len(order), len(columns["row"]), searched, complete)

    def order(self, query: ListQuery, enough: int = 1 << 60) -> tuple[Ints, Columns, int | None, bool]:
        """Return the places of matching problems, in order, in the columns that follow; how many were searched; and
        whether that is all."""
        plain = query.with_(page=1) == ""
        self._catalog.refresh(PATIENCE, lambda: plain and len(self._catalog) >= enough)
        searched, complete = None, self._catalog.complete
        words, columns = words_of(query.q), self._catalog.columns()
        fits = self._fits(query, columns)
        if words:
            wanted = enough if query.sort == "order" else len(fits)
            hits, searched = self._searches.hits(words, columns, wanted, PATIENCE)
            complete = complete and searched == len(fits)
            fits &= hits
        return _sorted(np.flatnonzero(fits), query.sort, columns), columns, searched, complete

    def _fits(self, query: ListQuery, columns: Columns) -> Flags:
        fits = np.ones(len(columns["row"]), bool)
        if query.domain:
            fits &= columns["domain"] == self._catalog.domains.known.get(query.domain, -2)
        if query.outcome:
            fits &= columns[query.outcome] > 0
        if query.state:
            fits &= columns["state"] == STATES.index(query.state)
        if query.disagree:
            fits &= columns["disagree"] > 0
        if query.unsure != "":
            fits &= np.nan_to_num(columns["uncertainty"], nan=-1.0) >= query.unsure
        return fits & self._verdicts(query, columns)

    def _verdicts(self, query: ListQuery, columns: Columns) -> Flags:
        """Return those with the requested verdict, from one labeler or any."""
        bits = -1 if not query.labeler else 1 << min(30, self._catalog.labelers.known.get(query.labeler, 31))
        found, abstains = (columns["found"] & bits) != 0, (columns["abstained"] & bits) != 0
        chosen = {"wrong_step": found, "abstains": abstains, "no_wrong_step": ~found & (columns["stage"] == 0)}
        fits: Flags = chosen.get(query.verdict, np.ones(len(found), bool))
        return fits

    def _line(self, columns: Columns, place: int, number: int, texts: dict[Address, tuple[str, str]]) -> Line:
        address = address_of(columns, place)
        name, question = texts[address]
        value = {key: column[place].item() for key, column in columns.items()}
        domain = next((d for d, i in list(self._catalog.domains.known.items()) if i == value["domain"]), "")
        labelers = (n for n, i in list(self._catalog.labelers.known.items()) if value["found"] >> min(i, 30) & 1)
        return Line(
            place=number,
            address=address,
            id=name,
            question=question,
            domain=domain,
            state=STATES[value["state"]],
            right=value["right"],
            wrong=value["wrong"],
            undetermined=value["undetermined"],
            found=tuple(labelers),
            disagree=value["disagree"],
            uncertainty=None if np.isnan(value["uncertainty"]) else value["uncertainty"],
        )


def _sorted(places: Ints, sort: Sort, columns: Columns) -> Ints:
    if sort == "uncertainty":
        keys = -np.nan_to_num(columns["uncertainty"][places], nan=-1.0)
    elif sort == "disagreement":
        keys = -columns["disagree"][places]
    elif sort == "pass_rate":
        right, wrong = columns["right"][places], columns["wrong"][places]
        keys = np.where(right + wrong > 0, right / np.maximum(1, right + wrong), 2.0)
    else:
        return places
    return places[np.argsort(keys, kind="stable")]


def _texts(layout: Layout, addresses: list[Address]) -> dict[Address, tuple[str, str]]:
    """Return id and question of some problems; a file is read once."""
    by_file: dict[tuple[ShardStage, int], list[Address]] = defaultdict(list)
    for address in addresses:
        by_file[address.stage, address.shard].append(address)
    found: dict[Address, tuple[str, str]] = {}
    for (stage, shard), wanted in by_file.items():
        names = ["id", "question"] if stage == "generate" else ["problem.id", "problem.question"]
        try:
            table = read_leaves(layout.shard(stage, shard), names)
        except RunFailed:
            found |= dict.fromkeys(wanted, ("(cannot be read)", ""))
            continue
        for address in wanted:  # ``take`` would import pandas
            rows = table.slice(address.row, 1).to_pylist()
            row = rows[0].get("problem", rows[0]) if rows else {"id": "(made again)", "question": ""}
            found[address] = row["id"], row["question"]
    return found
