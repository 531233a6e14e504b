"""Ray: a local instance bound to loopback, or the cluster that ``RAY_ADDRESS`` names."""

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from stepforge.pipelines.engines.settings import (
    EMBEDDED,
    ServerEngineSettings,
    TransformersEngineSettings,
    VllmEngineSettings,
)
from stepforge.pipelines.settings.run_file import RunFile, engines_by_table, problem_sets
from stepforge.pipelines.terminal.output import say
from stepforge.schemas.errors import RunFailed, first_line

CHILDREN_DIE = ("RAY_process_group_cleanup_enabled", "true")
"""Makes a killed worker take its children along: an engine's process would keep the GPU. A cluster's nodes
need it in the environment of ``ray start``."""


HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
STARTS = 2
"""Attempts to start a local Ray: it gives its node 30 seconds to come up, too few on a busy machine."""
LONGEST_FOLDER = 20
"""Longest temporary folder path that leaves room for Ray's socket paths, which may have 107 characters."""
_private_folder: str | None = None


def start_ray(*, hub_token: bool = True) -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start a local Ray that listens on loopback and asks for a token.

    The token is generated for this Ray and passed to its processes through their environment, never a file. Its folder,
    which Ray makes world-readable, is inside one that only this user can enter.

    Args:
        hub_token: Whether the processes of a local Ray get the Hub's token, if there is one.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address is None and "ray" not in sys.modules:
        os.environ.setdefault(*CHILDREN_DIE)
        # Ray reads these at import; if it is already imported, its own defaults apply.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the one setting that puts every port on loopback
        if not any(name.startswith("RAY_AUTH_") for name in os.environ):
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    # Ray's own handler, also read at import, would abort the driver at SIGTERM; workers keep theirs.
    os.environ["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"] = "1"
    import ray

    del os.environ["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"]
    if ray.is_initialized():
        return
    for more in range(STARTS - 1 if address is None else 0, -1, -1):
        options: dict[str, object] = {"logging_level": logging.ERROR, "log_to_driver": True}
        if address is None:
            options |= {"include_dashboard": False, "_temp_dir": f"{_made_private_folder()}/r"}
        try:
            with nullcontext() if hub_token else _without_hub_token():
                ray.init(address, **options)
            return
        except Exception as error:  # Ray raises plain ones, also for a raylet that came up too late
            stop_ray()
            failed = f"Ray did not start ({first_line(error)})"
            if not more:
                raise RunFailed(f"{failed}; run the same command again") from error
            say(f"{failed}; starting it again", err=True)


def stop_ray() -> None:
    """Leave the cluster; a local Ray started here is shut down, and its folder deleted."""
    import ray

    global _private_folder
    ray.shutdown()
    if _private_folder is not None:
        shutil.rmtree(_private_folder, ignore_errors=True)
        _private_folder = None


def loads_from_hub(run: RunFile) -> bool:
    """Whether a run names a model or problems on the Hub, so that its workers may need the Hub's token."""
    sets = [part.hub for part in problem_sets(run)]
    engines = engines_by_table(run).values()
    models = [engine.model for engine in engines if isinstance(engine, VllmEngineSettings | TransformersEngineSettings)]
    tokenizers = [engine.tokenizer for engine in engines if isinstance(engine, ServerEngineSettings)]
    return any(sets) or any(name and name != EMBEDDED and not Path(name).exists() for name in (*models, *tokenizers))


def _made_private_folder() -> str:
    """Make a folder with mode 0700; Ray makes the folders it gets or creates world-readable."""
    global _private_folder
    where = tempfile.gettempdir()
    _private_folder = tempfile.mkdtemp(prefix="stepforge-", dir=where if len(where) <= LONGEST_FOLDER else "/tmp")  # noqa: S108
    return _private_folder


@contextmanager
def _without_hub_token() -> Iterator[None]:
    taken = {name: os.environ.pop(name) for name in HUB_TOKENS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def ray_is_lost() -> bool:
    """Return whether the local Ray has lost its only node (raylet killed); a cluster may still get others."""
    import ray

    if os.environ.get("RAY_ADDRESS"):
        return False
    try:
        return not any(node["Alive"] for node in ray.nodes())
    except ray.exceptions.RayError:
        return True
