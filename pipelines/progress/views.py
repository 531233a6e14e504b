"""How a snapshot is shown: a table that stays at the bottom of a terminal, else a line every few seconds, for logs and
programs; all on standard error, with the workers' lines."""

import os
import sys
from collections.abc import Callable
from typing import NamedTuple

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


class View(NamedTuple):
    show: Callable[[Snapshot], None]
    seconds: float = 5.0
    """From one snapshot to the next."""
    close: Callable[[], None] = lambda: None
    """Leaves on the terminal what was shown last."""


def view_of(*, quiet: bool, as_json: bool) -> View:
    if quiet:
        return View(lambda _: None)
    if as_json:
        return View(lambda snapshot: say(f'{{"event":"progress",{snapshot.model_dump_json()[1:]}', err=True))
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return View(lambda snapshot: say(progress_line(snapshot), err=True))
    live = Live(console=Console(stderr=True), auto_refresh=False)
    live.start()
    return View(lambda snapshot: live.update(Text(visible(live_text(snapshot))), refresh=True), 1.0, live.stop)


def live_text(snapshot: Snapshot) -> str:
    engine = snapshot.engine
    lines = [f"time     {duration(snapshot.elapsed)}, {end_text(snapshot)}", f"engines  {fill_text(engine)}"]
    if speed_text(engine):
        lines.append(f"speed    {speed_text(engine)}")
    if snapshot.watched.solved or snapshot.watched.continued:
        lines.append(f"watched  {watched_text(snapshot.watched)}")
    return "\n".join([stages_text(snapshot.stages, snapshot.shards), *lines])
