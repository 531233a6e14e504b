"""The completions of a shard, stored once it is committed: when a stage is redone with other settings, only new
requests are sampled. Half as large as the journal they come from, and checksummed like any shard.
"""

from stepforge.pipelines.storage.journal import forget_journal, journalled
from stepforge.pipelines.storage.shards import read_rows, write_shard
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.protocols import Completion
from stepforge.schemas.record import Record


class KeptCompletion(Record):
    """An answer of the engine."""

    key: str
    """Digest of the request, in hexadecimal."""
    completion: Completion


def kept_completions(path: AnyPath) -> dict[bytes, Completion]:
    """Stored completions by request; none if the file is missing or damaged: they are sampled again."""
    if not path.exists():
        return {}
    try:
        return {bytes.fromhex(row.key): row.completion for row in read_rows(path, KeptCompletion)}
    except (RunFailed, ValueError):
        return {}


def keep_completions(folder: AnyPath, path: AnyPath) -> None:
    """Move a journal's content to the stored completions, and delete the journal."""
    fresh = journalled(folder)
    if fresh:
        known = kept_completions(path)
        rows = [KeptCompletion(key=key.hex(), completion=known.get(key, new)) for key, new in fresh.items()]
        rows += [KeptCompletion(key=key.hex(), completion=old) for key, old in known.items() if key not in fresh]
        write_shard(path, rows, KeptCompletion, {})
    forget_journal(folder)
