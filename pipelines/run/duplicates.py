"""Which problems of a run repeat an earlier one, exactly or nearly: the one step that needs every problem at once."""

from collections.abc import Sequence

from stepforge.filters import NearDuplicates, question_key
from stepforge.filters.minhash import Signatures
from stepforge.pipelines.run.meanings import Meanings
from stepforge.pipelines.storage.shards import read_columns, row_count
from stepforge.pipelines.storage.store import AnyPath

TOGETHER = 2_000
"""Questions taken in at a time; a shard holds a few dozen."""


def duplicate_questions(shards: Sequence[AnyPath]) -> dict[str, str]:
    """Return problem id -> id of the first problem, in shard order, that asks the same question."""
    firsts: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for path in shards:
        rows = read_columns(path, ["id", "question"])
        for name, question in zip(rows["id"], rows["question"], strict=True):
            first = firsts.setdefault(bytes.fromhex(question_key(question)), name)
            if first != name:
                copies[name] = first
    return copies


def near_duplicates(shards: Sequence[AnyPath], part: NearDuplicates) -> dict[str, str]:
    """Return problem id -> id of an earlier problem, in shard order, that asks nearly the same and is kept."""
    numbers = part.numbers == "same"
    signatures: Meanings | Signatures = Signatures(sum(map(row_count, shards)), numbers=numbers)
    if part.model is not None:
        signatures = Meanings(part.model, numbers=numbers)
    names: list[str] = []
    some: list[str] = []
    for path in shards:
        rows = read_columns(path, ["id", "question"])
        names += rows["id"]
        some += rows["question"]
        if len(some) >= TOGETHER:
            signatures.add(some)
            some = []
    signatures.add(some)
    return {names[copy]: names[first] for copy, first in signatures.earlier(part.similarity).items()}
