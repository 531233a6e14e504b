"""Full-text search, shard by shard over ids, questions and steps; what is found so far is shown."""

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepforge.pipelines.run_folder.row_index import ROW_STAGES, Columns, Ints, flags, to_numpy
from stepforge.pipelines.storage.layout import Layout, ShardStage
from stepforge.pipelines.storage.shards import read_leaves
from stepforge.pipelines.viewer.catalog import Catalog, Flags
from stepforge.schemas.errors import RunFailed

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


class Search:
    """One search in progress; ``hits`` has an entry for each problem of the shards searched so far."""

    def __init__(self, catalog: Catalog, words: tuple[str, ...]) -> None:
        self._catalog = catalog
        self._words = words
        self._hits: dict[int, Flags] = {}
        self._ended = threading.Event()
        self.news = threading.Condition()
        self.done = False
        self._thread = threading.Thread(target=self._run, name="search")
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def flags(self, columns: Columns) -> tuple[Flags, int]:
        """Return which problems of the catalog are hits, and the number of problems searched."""
        fits = np.zeros(len(columns["row"]), bool)
        searched = 0
        shards, starts, counts = np.unique(columns["shard"], return_index=True, return_counts=True)
        for shard, start, count in zip(shards.tolist(), starts.tolist(), counts.tolist(), strict=True):
            known = self._hits.get(shard)
            if known is not None and len(known) == count:
                fits[start : start + count] = known
                searched += count
        return fits, searched

    def _run(self) -> None:
        """Search the shards, including new ones."""
        with ThreadPoolExecutor(min(AT_A_TIME, os.cpu_count() or 1)) as pool:
            while not self._ended.is_set():
                columns = self._catalog.columns()
                shards, starts, counts = np.unique(columns["shard"], return_index=True, return_counts=True)
                ends = starts + counts
                tuple(pool.map(partial(self._search, columns), shards.tolist(), starts.tolist(), ends.tolist()))
                with self.news:
                    self.done = not self._catalog.reading
                    self.news.notify_all()
                if self.done:
                    return
                self._ended.wait(0.05)

    def _search(self, columns: Columns, shard: int, start: int, end: int) -> None:
        known = self._hits.get(shard)
        if self._ended.is_set() or (known is not None and len(known) == end - start):
            return
        rows = {name: columns[name][start:end] for name in ("stage", "row")}
        hits = _hits(self._catalog.layout, shard, rows, self._words)
        with self.news:
            self._hits[shard] = hits
            self.news.notify_all()

    def wait(self, enough: int, seconds: float) -> None:
        with self.news:
            self.news.wait_for(
                lambda: self.done or sum(int(hits.sum()) for hits in self._hits.values()) >= enough, timeout=seconds
            )


def _hits(layout: Layout, shard: int, rows: Columns, words: tuple[str, ...]) -> Flags:
    hits = np.zeros(len(rows["row"]), bool)
    for number in np.unique(rows["stage"]).tolist():
        stage = ROW_STAGES[number]
        try:
            found = _rows_with(layout, stage, shard, words)
        except RunFailed:
            continue  # the catalog names it
        here = (rows["stage"] == number) & (rows["row"] < len(found))  # it may have been redone meanwhile
        hits[here] = found[rows["row"][here]]
    return hits


def _rows_with(layout: Layout, stage: ShardStage, shard: int, words: tuple[str, ...]) -> Flags:
    table = read_leaves(layout.shard(stage, shard), list(TEXTS[stage]))
    texts = [Strings.at(table, path) for path in TEXTS[stage]]
    found = np.ones(table.num_rows, bool)
    for word in words:
        with_word = np.zeros(table.num_rows, bool)
        for strings in texts:
            with_word[strings.rows_with(word)] = True
        found &= with_word
    return found


class Strings(NamedTuple):
    """All strings at a Parquet path, each with its row."""

    texts: pa.Array
    rows: Ints

    @classmethod
    def at(cls, table: pa.Table, path: str) -> "Strings":
        name, *rest = path.replace(".list.element", "").split(".")
        array, rows = table[name].combine_chunks(), np.arange(table.num_rows)
        for part in ("", *rest):
            if part:
                array = array.field(part)
            if pa.types.is_list(array.type):
                rows = np.repeat(rows, np.diff(to_numpy(array.offsets)))
                array = array.flatten()
        return cls(array, rows)

    def rows_with(self, word: str) -> Ints:
        """Return the rows that contain a word, ignoring case; a row may appear more than once."""
        return self.rows[flags(pc.match_substring(self.texts, word, ignore_case=True))]


class Searches:
    """The last few searches; a new one ends those still in progress."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[tuple[str, ...], Search] = {}
        self._lock = threading.Lock()

    def of(self, words: tuple[str, ...]) -> Search:
        with self._lock:
            search = self._known.pop(words, None) or self._begun(words)
            self._known[words] = search
            while len(self._known) > KEPT_SEARCHES:
                self._known.pop(next(iter(self._known))).stop()
            return search

    def close(self) -> None:
        with self._lock:
            while self._known:
                self._known.popitem()[1].stop()

    def _begun(self, words: tuple[str, ...]) -> Search:
        for key in [key for key, search in self._known.items() if not search.done]:
            self._known.pop(key).stop()
        return Search(self._catalog, words)
