"""A user's own verifier, ``module:function``, in a killable process.

``function(response, reference)`` returns True, False, or None if it cannot tell. An exception, a hang or a crash is
undetermined.
"""

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from stepforge.pipelines.verification.verdicts import Item, Verified
from stepforge.schemas.errors import BadInput
from stepforge.schemas.rollout import Outcome

Function = Callable[[str, str], bool | None]
OUTCOMES: dict[Any, Outcome] = {True: "correct", False: "wrong", None: "undetermined"}
START_SECONDS = 60.0


def verifier_function(path: str) -> Function:
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        raise BadInput(f"--verifier {path}: cannot be imported ({type(error).__name__}: {error})") from None
    if not callable(found):
        raise BadInput(f"--verifier {path}: is not a function")
    return found  # type: ignore[no-any-return]


class OwnVerifier:
    """Implements ``Verifier``; one item at a time, each with a limit."""

    def __init__(self, path: str, *, item_seconds: float = 5.0) -> None:
        """Check the path; the process starts with the first item. Raises BadInput: the path names no function."""
        verifier_function(path)
        self._path = path
        self._item_seconds = item_seconds
        self._process: Any = None
        self._pipe: Connection | None = None
        self._turn = asyncio.Lock()

    async def verify(self, items: Sequence[Item], *, client: str, seconds: float) -> list[Verified]:
        deadline = asyncio.get_running_loop().time() + seconds
        found = []
        for item in items:
            left = min(self._item_seconds, deadline - asyncio.get_running_loop().time())
            if left <= 0:
                found.append(Verified(outcome="undetermined", reason="the request timed out"))
                continue
            async with self._turn:
                found.append(await asyncio.to_thread(self._ask, item, left))
        return found

    async def close(self) -> None:
        async with self._turn:
            await asyncio.to_thread(self._end)

    def _ask(self, item: Item, seconds: float) -> Verified:
        try:
            pipe = self._pipe or self._start()
            pipe.send((item.response, item.reference))
            if not pipe.poll(seconds):
                self._end()
                return Verified(outcome="undetermined", reason=f"the verifier took more than {seconds:.0f} s")
            outcome, reason = pipe.recv()
        except (OSError, EOFError):
            self._end()
            return Verified(outcome="undetermined", reason="the verifier's process died")
        return Verified(outcome=outcome, reason=reason)

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._path, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe = ours
        if not ours.poll(START_SECONDS) or ours.recv() != "ready":
            raise EOFError
        return ours

    def _end(self) -> None:
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()


def _work(path: str, pipe: Connection) -> None:
    function = verifier_function(path)
    pipe.send("ready")
    while True:
        try:
            response, reference = pipe.recv()
        except EOFError:
            return
        try:
            said = function(response, reference)
            known = said is None or isinstance(said, bool)
            pipe.send((OUTCOMES[said], None) if known else ("undetermined", f"it returned {type(said).__name__}"))
        except Exception as error:
            pipe.send(("undetermined", f"{type(error).__name__}: {error}"[:300]))
