"""A list of problems: the query, the matches, their order, and one page of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import polars as pl
from pydantic import Field, ValidationError

from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.pipelines.viewer.catalog import Address, Catalog, address_of
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


class Page(NamedTuple):
    query: ListQuery
    lines: list[dict[str, Any]]
    """The catalog's columns of each problem, its id, question and address, and its number in the list, from 1."""
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
        places, known, searched, complete = self.order(query, first + PAGE)
        rows = known[places.slice(first, PAGE)].to_dicts()
        addresses = [address_of(row) for row in rows]
        texts = _texts(self._catalog.layout, addresses)
        lines = [
            {**row, **texts[address], "address": address, "place": place}
            for place, (row, address) in enumerate(zip(rows, addresses, strict=True), first + 1)
        ]
        return Page(query, lines, len(places), len(known), searched, complete)

    def order(self, query: ListQuery, enough: int = 1 << 60) -> tuple[pl.Series, pl.DataFrame, int | None, bool]:
        """Return the places of matching problems, in order, in the rows that follow; how many were searched; and
        whether that is all."""
        plain = query.with_(page=1) == ""
        self._catalog.refresh(PATIENCE, lambda: plain and len(self._catalog) >= enough)
        searched, complete = None, self._catalog.complete
        words, rows = words_of(query.q), self._catalog.rows()
        tests = list(_tests(query))
        if words:
            wanted = enough if query.sort == "order" else len(rows)
            hits, searched = self._searches.hits(words, rows, wanted, PATIENCE)
            complete = complete and searched == len(rows)
            tests.append(pl.lit(pl.Series(hits)))
        fitting = rows.lazy().with_row_index("place").filter(*tests)
        if query.sort != "order":
            fitting = fitting.sort(SORTED_BY[query.sort], maintain_order=True)
        return fitting.select("place").collect().to_series(), rows, searched, complete


_ENDED = pl.col("right") + pl.col("wrong")
SORTED_BY: Mapping[Sort, pl.Expr] = {
    "uncertainty": -pl.col("uncertainty").fill_null(-1),
    "disagreement": -pl.col("disagree"),
    "pass_rate": pl.when(_ENDED > 0).then(pl.col("right") / _ENDED).otherwise(2.0),
}


def _tests(query: ListQuery) -> Iterator[pl.Expr]:
    """Yield what must hold of a problem; a verdict is from one labeler or any."""
    found, abstains = (
        pl.col(name).list.contains(query.labeler) if query.labeler else pl.col(name).list.len() > 0
        for name in ("found", "abstained")
    )
    if query.domain:
        yield pl.col("domain") == query.domain
    if query.outcome:
        yield pl.col(query.outcome) > 0
    if query.state:
        yield pl.col("state") == query.state
    if query.disagree:
        yield pl.col("disagree") > 0
    if query.unsure != "":
        yield pl.col("uncertainty").fill_null(-1) >= query.unsure
    if query.verdict:
        labeled = pl.col("stage") == "label"
        yield {"wrong_step": found, "abstains": abstains, "no_wrong_step": ~found & labeled}[query.verdict]


def _texts(layout: Layout, addresses: list[Address]) -> dict[Address, dict[str, str]]:
    """Return id and question of some problems; a file is read once."""
    by_file: dict[tuple[ShardStage, int], list[Address]] = defaultdict(list)
    for address in addresses:
        by_file[address.stage, address.shard].append(address)
    found: dict[Address, dict[str, str]] = {}
    for (stage, shard), wanted in by_file.items():
        names = ["id", "question"] if stage == "generate" else ["problem.id", "problem.question"]
        try:
            table = read_leaves(layout.shard(stage, shard), names)
        except RunFailed:
            found |= {address: {"id": "(cannot be read)", "question": ""} for address in wanted}
            continue
        for address in wanted:  # ``take`` would import pandas
            rows = table.slice(address.row, 1).to_pylist()
            found[address] = rows[0].get("problem", rows[0]) if rows else {"id": "(made again)", "question": ""}
    return found
