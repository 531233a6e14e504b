"""The journal of completions: read back whole, torn, damaged and on a full disk."""

import asyncio
import gc
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from some_completions import PROMPT, SAMPLING, completion

from stepforge.generators.policy import complete_each
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.engines.gate import EngineGate
from stepforge.pipelines.engines.outage import Outage
from stepforge.pipelines.engines.scripted_engine import ScriptedEngine
from stepforge.pipelines.run.journaled_engine import JournaledEngine
from stepforge.pipelines.storage.journal import (
    KEY_BYTES,
    MAGIC,
    Journal,
    journalled,
    keep_completions,
    kept_completions,
    request_key,
)
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.protocols import Completion, Prompt, Sampling

pytestmark = pytest.mark.anyio
LONG = 7
"""The seed of a request whose reasoning never ends."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "journal" / "label-00000"


async def fill(folder: Path, rows: dict[bytes, Completion]) -> None:
    journal = Journal(folder)
    for key, row in rows.items():
        journal.add(key, row)
    await journal.close()


async def filled(folder: Path, count: int = 20) -> dict[bytes, Completion]:
    rows = {bytes([i]) * 16: completion(f"line {i}\n" * (i % 4)) for i in range(count)}
    await fill(folder, rows)
    return rows


async def test_a_torn_tail_is_cut_wherever_it_tears(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = await filled(folder, 3)
    (path,) = folder.glob("*.frames")
    whole = path.read_bytes()
    counts = set()
    for keep in range(len(whole)):
        path.write_bytes(whole[:keep])
        found = Journal(folder)
        known = [row for key, row in rows.items() if found.find(key) == row]
        assert known == [*rows.values()][: len(known)]
        counts.add(len(known))
    assert counts == {0, 1, 2}
    assert "sampled again" in capsys.readouterr().err


async def test_a_failed_completion_is_asked_for_again(folder: Path) -> None:
    async def ask(failure_rate: float) -> list[Completion]:
        engine = ScriptedEngine(ScriptedEngineSettings(failure_rate=failure_rate))
        journal = Journal(folder)
        asking = JournaledEngine(EngineGate(engine, 4), journal)
        answers = await complete_each(asking, PROMPT, n=5, seed=1, sampling=SAMPLING)
        await journal.close()
        return answers

    assert {c.finish for c in await ask(1.0)} == {"error"}
    assert "error" not in {c.finish for c in await ask(0.0)}


class Reasoning(ScriptedEngine):
    """Returns no text if its tokens end before it stops reasoning: after one token, and some times on one request."""

    def __init__(self, failures: int) -> None:
        super().__init__(ScriptedEngineSettings())
        self.failures = failures

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if sampling.max_tokens == 1 or (seed == LONG and self.failures):
            self.failures -= 1
            return Completion.failed("reasoning and no text", "server")
        return await super().complete(prompt, seed=seed, sampling=sampling)


class NoOutage(Outage):
    async def wait(self, reason: str, tries: int) -> None:
        raise AssertionError(reason)


@pytest.mark.parametrize(("failures", "causes"), [(1, []), (2, ["server"])])
async def test_a_request_fails_alone_the_second_time_and_is_no_outage(
    folder: Path, failures: int, causes: list[str]
) -> None:
    """The first time the server may have been down, and have come back before it was asked about the others."""
    journal = Journal(folder)
    gate = EngineGate(Reasoning(failures), 4, outage=NoOutage("the server", patience=0.01))
    asking = JournaledEngine(gate, journal)
    answers = [await asking.complete(PROMPT, seed=seed, sampling=SAMPLING) for seed in (1, LONG, 2)]
    await journal.close()
    assert [answer.cause for answer in answers if answer.finish == "error"] == causes


class Flaky(ScriptedEngine):
    """Fails over one request for ever, and seems to be away every other time."""

    fails = 0

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        if seed != LONG:
            return await super().complete(prompt, seed=seed, sampling=sampling)
        self.fails += 1
        return Completion.failed("no answer", "server" if self.fails % 2 else "away")


async def test_a_request_that_fails_alone_and_in_an_outage_by_turns_ends(folder: Path) -> None:
    outage = Outage("the server", patience=1, first_wait=1e-9)
    asking = JournaledEngine(EngineGate(Flaky(ScriptedEngineSettings()), 4, outage=outage), Journal(folder))
    async with asyncio.timeout(20):
        assert (await asking.complete(PROMPT, seed=LONG, sampling=SAMPLING)).cause == "server"


async def test_a_servers_own_words_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    await Outage("the server", patience=1, first_wait=0.001).wait("\x1b[2Jgone", 1)
    assert capsys.readouterr().err == "stepforge: the server is down (\\u001b[2Jgone); waiting for up to 1 s\n"


async def test_nothing_is_added_to_a_journal_that_has_ended(folder: Path) -> None:
    """A search that was cancelled may still get an answer: nothing appears beside a shard that is committed."""
    journal = Journal(folder)
    journal.add(b"k" * 16, completion())
    await journal.end()
    journal.add(b"l" * 16, completion())
    await journal.close()
    assert set(journalled(folder)) == {b"k" * 16}


async def test_the_completions_of_a_committed_shard_are_kept_and_found_again(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "part-00000.parquet"
    rows = await filled(folder)
    keep_completions(folder, kept)
    assert not folder.exists()
    assert kept_completions(kept) == rows
    assert Journal(folder, kept_completions(kept)).known == rows
    kept.write_bytes(kept.read_bytes()[:-20])
    assert kept_completions(kept) == {}  # damaged: what it held is sampled again


def test_requests_that_differ_in_anything_have_other_keys() -> None:
    keys = {
        request_key(identity, prompt, seed, sampling)
        for identity in (b"a", b"b")
        for prompt in (PROMPT, Prompt(text="x"), Prompt(text="x", token_ids=(1, 2)), Prompt(text="x", token_ids=(1, 3)))
        for seed in (1, 2)
        for sampling in (SAMPLING, Sampling(temperature=0.5), Sampling(top_p=0.5), Sampling(stop=("\n",)))
    }
    assert len(keys) == 2 * 4 * 2 * 4


async def test_a_journal_is_laid_out_as_written_down(folder: Path) -> None:
    """A later version must read it, or refuse it by its first line; nothing in it can be run."""
    row = completion("\u00e9b", logprobs=(-0.1, -0.25), mean_logprob=-0.375, prompt_tokens=2**40, cached_tokens=4)
    await fill(folder, {b"k" * 16: row})
    (path,) = folder.glob("*.frames")
    payload = b"k" * 16 + row.model_dump_json().encode()
    frame = struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
    assert path.read_bytes() == b"stepforge journal 3\n" + frame
    assert Journal(folder).known == {b"k" * 16: row}


async def test_what_is_added_while_a_journal_closes_is_written_too(folder: Path) -> None:
    journal = Journal(folder)

    async def late(number: int) -> None:
        for turn in range(20):
            journal.add(bytes([number, turn]) * 8, completion())
            await asyncio.sleep(0.001)

    journal.add(b"a" * 16, completion())
    adding = [asyncio.create_task(late(number)) for number in range(3)]
    await asyncio.sleep(0.004)
    await journal.close()
    await asyncio.gather(*adding)
    await journal.close()
    found = Journal(folder)
    assert all(found.find(bytes([number, turn]) * 8) == completion() for number in range(3) for turn in range(20))


def test_a_full_disk_is_reported_once_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio complains of failures that nobody fetched, dozens of lines each; there must be none."""
    complaints: list[dict[str, object]] = []

    def full(*_: object) -> None:
        raise RunFailed("the disk is full")

    async def one(end: str) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        journal = Journal(tmp_path / end)
        monkeypatch.setattr(journal, "_append", full)
        journal.add(b"k" * KEY_BYTES, Completion(text="a", finish="stop", tokens=1))
        journal._closing.set()
        await asyncio.sleep(0.1)
        if end == "closed":
            with pytest.raises(RunFailed, match="full"):
                await journal.close()
        elif end == "forgotten":
            with pytest.raises(RunFailed, match="full"):
                await journal.end()
        del journal
        gc.collect()
        await asyncio.sleep(0)

    for end in ("closed", "forgotten", "given up"):
        asyncio.run(one(end))
    assert complaints == []


def test_a_frame_that_holds_no_completion_is_sampled_again(tmp_path: Path) -> None:
    frames = b""
    for content in (b'{"other": 1}', b"", completion("a").model_dump_json().encode()):
        payload = b"k" * 16 + content
        frames += struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
    (tmp_path / "a.frames").write_bytes(MAGIC + frames)
    assert journalled(tmp_path) == {b"k" * 16: completion("a")}
