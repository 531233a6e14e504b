"""Full-text search, shard by shard over ids, questions and steps; what is found so far is shown."""

import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from stepforge.pipelines.run_folder.rows import ROW_STAGES
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.pipelines.viewer.catalog import Catalog
from stepforge.schemas.errors import RunFailed

Flags = npt.NDArray[np.bool_]

TEXTS: dict[ShardStage, tuple[str, ...]] = {
    "label": ("problem.id", "problem.question", "solutions.list.element.rollout.steps.list.element.text"),
    "solve": ("problem.id", "problem.question", "rollouts.list.element.steps.list.element.text"),
    "generate": ("id", "question"),
}
KEPT_SEARCHES = 4
AT_A_TIME = 4
"""Shards that are searched at a time."""
MOST_WORDS = 8


def words_of(text: str) -> tuple[str, ...]:
    """Return the terms that must all occur in a problem: words, or phrases in double quotes."""
    found = (quoted or word for quoted, word in re.findall(r'"([^"]+)"|(\S+)', text))
    return tuple(found)[:MOST_WORDS]


class Searches:
    """The last few searches, shard by shard. A page searches for a moment, and the next one continues.

    Several requests may do the same search at once, so they iterate over copies.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[tuple[str, ...], dict[int, Flags]] = {}

    def hits(self, words: tuple[str, ...], rows: pl.DataFrame, enough: int, seconds: float) -> tuple[Flags, int]:
        """Return which of the catalog's rows are hits, and how many were searched, after ``enough`` or ``seconds``."""
        known = self._known[words] = self._known.pop(words, {})
        for old in list(self._known)[:-KEPT_SEARCHES]:
            self._known.pop(old, None)
        places = rows.select("shard", "stage", "row").partition_by("shard", maintain_order=True)
        parts = {part["shard"][0]: part for part in places}
        left = [shard for shard, part in parts.items() if not _covers(known, shard, part)]
        found, deadline = sum(int(hits.sum()) for hits in list(known.values())), time.monotonic() + seconds
        with ThreadPoolExecutor(min(AT_A_TIME, os.cpu_count() or 1)) as pool:
            for first in range(0, len(left), AT_A_TIME):
                some = left[first : first + AT_A_TIME]
                read = pool.map(partial(_hits, self._catalog.layout, words), some, [parts[shard] for shard in some])
                known.update(zip(some, read, strict=True))
                found += sum(int(known[shard].sum()) for shard in some)
                if found >= enough or time.monotonic() >= deadline:
                    break
        done = {shard: known[shard] for shard, part in parts.items() if _covers(known, shard, part)}
        fits = [done.get(shard, np.zeros(len(part), bool)) for shard, part in parts.items()]
        return np.concatenate([np.zeros(0, bool), *fits]), sum(map(len, done.values()))


def _covers(known: Mapping[int, Flags], shard: int, rows: pl.DataFrame) -> bool:
    """Whether a shard was searched as it is now; it may have been redone."""
    return shard in known and len(known[shard]) == len(rows)


def _hits(layout: Layout, words: tuple[str, ...], shard: int, rows: pl.DataFrame) -> Flags:
    hits, numbers = np.zeros(len(rows), bool), rows["row"].to_numpy()
    for stage in ROW_STAGES:
        here = (rows["stage"] == stage).to_numpy()
        if not here.any():
            continue
        try:
            found = _rows_with(layout, stage, shard, words)
        except RunFailed:
            continue  # the catalog names it
        here &= numbers < len(found)  # it may have been redone meanwhile
        hits[here] = found[numbers[here]]
    return hits


def _rows_with(layout: Layout, stage: ShardStage, shard: int, words: tuple[str, ...]) -> Flags:
    table = pl.DataFrame(read_leaves(layout.shard(stage, shard), list(TEXTS[stage])))
    strings = pl.concat(strings_at(table, path) for path in TEXTS[stage])
    found = np.ones(len(table), bool)
    for word in words:
        found &= np.isin(np.arange(len(table)), rows_with(strings, word))
    return found


def strings_at(table: pl.DataFrame, path: str) -> pl.DataFrame:
    """Return all strings at a Parquet path, each with its row."""
    name, *parts = path.replace(".list.element", "").split(".")
    found = table.with_row_index("row").select("row", text=name)
    for part in ("", *parts):
        if part:
            found = found.select("row", text=pl.col("text").struct.field(part))
        if found.schema["text"] == pl.List:
            found = found.explode("text")
    return found


def rows_with(strings: pl.DataFrame, word: str) -> pl.Series:
    """Return the rows that contain a word, ignoring case; a row may appear more than once."""
    return strings.filter(pl.col("text").str.contains(f"(?i){pl.escape_regex(word)}"))["row"]
