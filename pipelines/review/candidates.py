"""Which problems to read in full for a queue: those whose columns suggest doubt, and some at random for gold items.

Reading a problem takes milliseconds but its columns microseconds, so a run of a million takes seconds.
"""

import numpy as np

from stepforge.pipelines.run_folder.row_index import Names, stage_columns
from stepforge.pipelines.storage.layout import Layout, shard_index

SEED = 0
PROBLEMS_PER_ITEM = 20
LEAST = 2000
"""Problems that are always read, however short the queue."""


def candidates(layout: Layout, top: int) -> tuple[dict[int, set[int]], int]:
    """Return the rows, by shard, from which a queue of ``top`` items is chosen, and how many solutions the run has.

    Raises RunFailed: a shard is damaged.
    """
    places, scores, solutions = [], [], 0
    domains, labelers = Names(), Names()
    for path in layout.shards("label"):
        columns = stage_columns(layout, "label", shard_index(path), domains, labelers)
        names = ("row", "right", "wrong", "undetermined", "disagree", "uncertainty")
        rows, right, wrong, unknown, differing, unsure = (columns[name] for name in names)
        solutions += int(right.sum()) + int(wrong.sum()) + int(unknown.sum())
        suspected = (wrong >= 2) & (wrong > right)
        scores.append(np.nan_to_num(unsure, nan=0.5) + 0.3 * (differing > 0) + 0.5 * suspected)
        places.append(np.stack([np.full(len(rows), shard_index(path)), rows], axis=1))
    where, score = np.concatenate(places), np.concatenate(scores)
    most = max(LEAST, PROBLEMS_PER_ITEM * top)
    chosen = np.argsort(-score, kind="stable")[:most]
    drawn = np.random.default_rng(SEED).permutation(len(score))[: max(LEAST, top)]
    found: dict[int, set[int]] = {}
    for shard, row in where[np.union1d(chosen, drawn)].tolist():
        found.setdefault(shard, set()).add(row)
    return found, solutions
