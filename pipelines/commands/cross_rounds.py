"""Pairs across rounds: a right solution of one round's policy against a wrong one of another's, to the same question.

Needs rounds on the same problems (``train.same_problems``). Later rounds come first on the right side, earlier ones on
the wrong side: so the pair points in the direction of training.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from stepforge.pipelines.exports.contract import asked
from stepforge.pipelines.exports.right_paths import right_paths
from stepforge.pipelines.exports.whole_solutions import PairRow, pair_row, wrong_solutions
from stepforge.pipelines.storage.filtered_shards import read_curated
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import committed
from stepforge.schemas.labeled import COMPLETIONS, LabeledProblem

CROSS_ROUND_PAIRS = "cross_round_pairs.jsonl"
MOST = 2
"""Pairs of a problem."""


class CrossRoundPair(PairRow):
    chosen_round: int
    rejected_round: int


def write_cross_round_pairs(rounds: Sequence[Path], path: Path) -> int:
    count = 0
    with committed(path) as file:
        for pair in cross_round_pairs(rounds):
            file.write(json.dumps(pair.model_dump(), ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def cross_round_pairs(rounds: Sequence[Path]) -> Iterator[CrossRoundPair]:
    """Yield the pairs, with one shard of every round in memory: equal plans put a problem in the same shard."""
    layouts = [Layout(place) for place in rounds]
    for index in sorted({index for layout in layouts for index in layout.committed()["curate"]}):
        same: dict[str, list[tuple[int, LabeledProblem]]] = defaultdict(list)
        for number, layout in enumerate(layouts, start=1):
            if layout.shard("curate", index).exists():
                for row in read_curated(layout, index, without=COMPLETIONS):
                    same[row.problem.id].append((number, row))
        for rows in same.values():
            yield from _pairs(rows)


def _pairs(rows: Sequence[tuple[int, LabeledProblem]]) -> Iterator[CrossRoundPair]:
    wrong = [(number, row, solution) for number, row in rows for solution in wrong_solutions(row)]
    left = MOST
    for number, row in reversed(rows):
        for good in right_paths(row):
            bad = next((one for one in wrong if one[0] != number and asked(one[1]) == asked(row)), None)
            if bad is None or not left:
                break
            wrong.remove(bad)
            left -= 1
            pair = pair_row(row, good, bad[2])
            yield CrossRoundPair(**pair.model_dump(), chosen_round=number, rejected_round=bad[0])
