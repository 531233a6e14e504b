"""How a snapshot is shown: a live table on a terminal, otherwise periodic lines; all on standard error."""

import os
import sys
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from stepforge.pipelines.progress.snapshot import (
    Snapshot,
    duration,
    end_text,
    fill_text,
    progress_line,
    speed_text,
    stages_text,
)
from stepforge.pipelines.run_folder.watched import watched_text
from stepforge.pipelines.terminal.output import say, visible


def view_of(*, quiet: bool, as_json: bool) -> "Lines | LiveTable":
    if quiet:
        return Lines(None)
    if as_json:
        return Lines(lambda snapshot: f'{{"event":"progress",{snapshot.model_dump_json()[1:]}')
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return LiveTable() if terminal else Lines(progress_line)


class Lines:
    """A line every few seconds, for logs and programs; other lines on standard error are the workers'."""

    seconds = 5.0

    def __init__(self, form: Callable[[Snapshot], str] | None) -> None:
        """``form``: the line's format; None shows nothing."""
        self._form = form

    def show(self, snapshot: Snapshot) -> None:
        if self._form is not None:
            say(self._form(snapshot), err=True)

    def close(self) -> None:
        """Nothing to release."""


class LiveTable:
    """A table that stays at the bottom of the terminal; other output appears above it."""

    seconds = 1.0

    def __init__(self) -> None:
        self._live = Live(console=Console(stderr=True), auto_refresh=False)
        self._live.start()

    def show(self, snapshot: Snapshot) -> None:
        self._live.update(Text(visible(live_text(snapshot))), refresh=True)

    def close(self) -> None:
        """Leave the last table where it is."""
        self._live.stop()


def live_text(snapshot: Snapshot) -> str:
    engine = snapshot.engine
    lines = [f"time     {duration(snapshot.elapsed)}, {end_text(snapshot)}", f"engines  {fill_text(engine)}"]
    if speed_text(engine):
        lines.append(f"speed    {speed_text(engine)}")
    if snapshot.watched.solved or snapshot.watched.continued:
        lines.append(f"watched  {watched_text(snapshot.watched)}")
    return "\n".join([stages_text(snapshot.stages, snapshot.shards), *lines])
