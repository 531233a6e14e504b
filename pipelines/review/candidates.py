"""Which problems to read in full for a queue: those whose columns suggest doubt, and some at random for gold items.

Reading a problem takes milliseconds but its columns microseconds, so a run of a million takes seconds.
"""

import numpy as np
import polars as pl

from stepforge.pipelines.run_folder.row_index import stage_rows
from stepforge.pipelines.storage.layout import Layout, shard_index

SEED = 0
PROBLEMS_PER_ITEM = 20
LEAST = 2000
"""Problems that are always read, however short the queue."""


def candidates(layout: Layout, top: int) -> tuple[dict[int, set[int]], int]:
    """Return the rows, by shard, from which a queue of ``top`` items is chosen, and how many solutions the run has.

    Raises RunFailed: a shard is damaged.
    """
    rows = pl.concat(stage_rows(layout, "label", shard_index(path)) for path in layout.shards("label"))
    right, wrong = pl.col("right"), pl.col("wrong")
    doubt = pl.col("uncertainty").cast(pl.Float64).fill_null(0.5) + 0.3 * (pl.col("disagree") > 0)
    score = rows.select(doubt + 0.5 * ((wrong >= 2) & (wrong > right))).to_series().to_numpy()
    chosen = np.argsort(-score, kind="stable")[: max(LEAST, PROBLEMS_PER_ITEM * top)]
    drawn = np.random.default_rng(SEED).permutation(len(rows))[: max(LEAST, top)]
    found: dict[int, set[int]] = {}
    for shard, row in rows[np.union1d(chosen, drawn)].select("shard", "row").iter_rows():
        found.setdefault(shard, set()).add(row)
    return found, int(rows.select(pl.sum_horizontal(pl.col("right", "wrong", "undetermined").sum())).item())
