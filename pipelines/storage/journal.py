"""The journal of a shard: every completion of the engine, written as it arrives, so a kill costs only seconds.

Append-only files of frames: length (4 bytes), CRC-32 (4 bytes), then the request's key and the completion as JSON.
Everything from the first torn or damaged frame on is ignored; those completions are sampled again. Every attempt at a
shard writes its own file, so a killed driver's orphan never writes into another's, and the first record of a request
counts. In an object store, which cannot append, each flush is an object.

Once the shard is committed, its completions are stored as a shard of their own, half as large: when a stage is redone
with other settings, only new requests are sampled.
"""

import asyncio
import os
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from pydantic import ValidationError

from stepforge.pipelines.storage.shards import read_rows, write_shard
from stepforge.pipelines.storage.store import AnyPath, StorePath, fsync_folder, listed, naming
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.protocols import Completion, Prompt, Sampling
from stepforge.schemas.record import Record

FLUSH_SECONDS = 2.0
"""The most that a kill of the process loses, besides requests in flight."""
FRAME = struct.Struct("<II")
KEY_BYTES = 16
MAGIC = b"stepforge journal 3\n"


class Journal:
    """A shard's completions so far, and a file for new ones. Belongs to one event loop."""

    def __init__(self, folder: AnyPath, kept: Mapping[bytes, Completion] = MappingProxyType({})) -> None:
        """``folder`` is the journal's own; it is read now and written to from the first completion on. ``kept`` has the
        shard's completions from an earlier commit."""
        self._folder = folder
        self.known: dict[bytes, Completion] = {**journalled(folder), **kept}
        """Completions of earlier attempts at the shard."""
        self.replayed = 0
        """Completions that were found here instead of being sampled again."""
        self._name = uuid4().hex
        self._buffer: list[bytes] = []
        self._flushes = 0
        self._flushing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._forgotten = False

    def find(self, key: bytes) -> Completion | None:
        found = self.known.get(key)
        self.replayed += found is not None
        return found

    def add(self, key: bytes, completion: Completion) -> None:
        """Record a completion; it is on disk within ``FLUSH_SECONDS``. Raises RunFailed: an earlier one could not be
        written."""
        if self._forgotten:  # the answer to a cancelled search
            return
        payload = key + completion.model_dump_json().encode()
        self._buffer += (FRAME.pack(len(payload), zlib.crc32(payload)), payload)
        if self._flushing is None or self._flushing.done():
            self._raise_failure()
            self._flushing = asyncio.get_running_loop().create_task(self._flush_until_empty())
            self._flushing.add_done_callback(_take_note)

    async def close(self) -> None:
        self._closing.set()
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])  # another task flushes what is added meanwhile
        self._raise_failure()
        await self._flush()

    async def end(self) -> None:
        """Flush the rest and accept no more: the shard is committed."""
        self._forgotten = True
        await self.close()

    def _raise_failure(self) -> None:
        """After a failed write the file ends in a torn frame: nothing must follow."""
        if self._flushing is not None and not self._flushing.cancelled():
            self._flushing.result()

    async def _flush_until_empty(self) -> None:
        while self._buffer:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        frames, self._buffer = b"".join(self._buffer), []
        if frames:
            number, self._flushes = self._flushes, self._flushes + 1
            await asyncio.to_thread(self._append, frames, number)

    def _append(self, frames: bytes, number: int) -> None:
        if isinstance(self._folder, StorePath):
            path = self._folder / f"{self._name}-{number:06d}.frames"
            with naming(path):
                path.write_bytes(MAGIC + frames)
            return
        local = self._folder / f"{self._name}.frames"
        with naming(local):
            self._folder.mkdir(parents=True, exist_ok=True)
            with local.open("ab") as file:
                file.write(frames if number else MAGIC + frames)
                file.flush()
                os.fsync(file.fileno())
            if number == 0:
                fsync_folder(self._folder)


def journalled(folder: AnyPath) -> dict[bytes, Completion]:
    """Completions of a journal by request; the first answer to a request counts."""
    known: dict[bytes, Completion] = {}
    for path in listed(folder, "*.frames"):
        with naming(path):
            data = path.read_bytes()
        for payload in _frames(data, path):
            with suppress(ValidationError):  # no completion of this version: it is sampled again
                known.setdefault(payload[:KEY_BYTES], Completion.model_validate_json(payload[KEY_BYTES:]))
    return known


def _take_note(task: "asyncio.Task[None]") -> None:
    """The next add or close raises the failure, so asyncio need not warn about an unretrieved exception."""
    if not task.cancelled():
        task.exception()


def forget_journal(folder: AnyPath) -> None:
    for path in folder.glob("*.frames"):
        path.unlink(missing_ok=True)
    if isinstance(folder, Path) and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def request_key(identity: bytes, prompt: Prompt, seed: int, sampling: Sampling) -> bytes:
    digest = blake2b(identity, digest_size=KEY_BYTES)
    if prompt.token_ids:
        digest.update(array("q", prompt.token_ids).tobytes())
    else:
        digest.update(prompt.text.encode("utf-8", "surrogatepass"))
        for turn in prompt.turns:
            digest.update(f"\0{turn.role}\0{len(turn.content)}".encode("utf-8", "surrogatepass"))
    settings = (seed, sampling.temperature, sampling.top_p, sampling.max_tokens, *sampling.stop)
    if sampling.scored:
        digest.update(f"\0scored\0{sampling.scored}".encode())
    digest.update("".join(f"\0{setting}" for setting in settings).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _frames(data: bytes, path: AnyPath) -> Iterator[bytes]:
    """Yield the payloads up to the first torn or damaged one."""
    if not data.startswith(MAGIC):
        if data:
            say(f"stepforge: {path}: not a journal of this version; ignored", err=True)
        return
    position = len(MAGIC)
    while position + FRAME.size <= len(data):
        length, checksum = FRAME.unpack_from(data, position)
        payload = data[position + FRAME.size : position + FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            break
        yield payload
        position += FRAME.size + length
    if position < len(data):
        torn = f"the last {len(data) - position} bytes are incomplete; their content is sampled again"
        say(f"stepforge: {path}: {torn}", err=True)


class KeptCompletion(Record):
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
