"""``stepforge view``: the run on a page of this machine."""

import os
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from getpass import getuser

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.serving.loopback import serve, token_for_service
from stepforge.pipelines.storage.store import AnyPath
from stepforge.pipelines.viewer.app import Viewer, viewer_app
from stepforge.pipelines.viewer.review_pages import ReviewDesk


def view(
    folder: AnyPath,
    *,
    port: int,
    browser: bool,
    reviewer: str | None,
    adjudicates: bool,
    condensed: bool,
    say: Callable[[str], None],
) -> None:
    """Serve a run until interrupted. Raises BadInput: this is not a run folder, or the port is taken."""
    run, layout = open_run(folder)
    viewer = Viewer(run, layout, ReviewDesk(layout, reviewer or _user(), adjudicates=adjudicates, condensed=condensed))
    token = token_for_service()

    def ready(address: str) -> None:
        link = f"{address}/?token={token}"
        say(f"{link}\nstop with Ctrl-C")
        windows = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
        if browser and windows:  # else a text browser would take over the terminal
            webbrowser.open(link)

    viewer.catalog.start()
    try:
        with suppress(KeyboardInterrupt):
            serve(viewer_app(viewer, token), port=port, ready=ready)
    finally:
        viewer.close()


def _user() -> str:
    with suppress(OSError, KeyError):
        return getuser()
    return "reviewer"
