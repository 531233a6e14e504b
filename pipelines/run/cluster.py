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
from stepforge.pipelines.settings.run_file import RunFile, problem_sets
from stepforge.schemas.errors import RunFailed

CHILDREN_DIE = ("RAY_process_group_cleanup_enabled", "true")
"""By this a worker that is killed takes its children along: an engine's process would keep the GPU. A cluster's nodes
need it in the environment of ``ray start``."""


HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
LONGEST_FOLDER = 20
"""Characters of a temporary folder in which Ray's sockets fit, whose addresses may have 107."""
_private_folder: str | None = None


def start_ray(*, hub_token: bool = True) -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start a local Ray that listens on loopback and asks for a token.

    The token is drawn for this Ray alone and handed to its processes through their environment, never to a file. Its
    folder, which Ray itself opens to everybody, lies in one that only this user can enter.

    Args:
        hub_token: Whether the processes of a local Ray get the Hub's token, if there is one.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address is None and "ray" not in sys.modules:
        os.environ.setdefault(*CHILDREN_DIE)
        # Ray reads these when it is imported; where that has happened its own defaults hold.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # the one setting by which every port is on loopback
        if not any(name.startswith("RAY_AUTH_") for name in os.environ):
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    if ray.is_initialized():
        return
    options: dict[str, object] = {"logging_level": logging.ERROR, "log_to_driver": True}
    if address is None:
        options |= {"include_dashboard": False, "_temp_dir": f"{_made_private_folder()}/r"}
    try:
        with nullcontext() if hub_token else _without_hub_token():
            ray.init(address, **options)
    except Exception as error:  # Ray raises plain ones, of a raylet that came up too late too
        stop_ray()
        raise RunFailed(f"Ray did not start ({str(error).splitlines()[0]}); run the same command again") from error


def stop_ray() -> None:
    """Leave the cluster; a local Ray that was started here ends, and its folder goes."""
    import ray

    global _private_folder
    ray.shutdown()
    if _private_folder is not None:
        shutil.rmtree(_private_folder, ignore_errors=True)
        _private_folder = None


def loads_from_hub(run: RunFile) -> bool:
    """Whether a run names a model or problems on the Hub, so that its workers may need the Hub's token."""
    sets = [part.hub for part in problem_sets(run)]
    engines = [engine for engine in (run.engine, run.judge, *run.engines.values()) if engine is not None]
    models = [engine.model for engine in engines if isinstance(engine, VllmEngineSettings | TransformersEngineSettings)]
    tokenizers = [engine.tokenizer for engine in engines if isinstance(engine, ServerEngineSettings)]
    return any(sets) or any(name and name != EMBEDDED and not Path(name).exists() for name in (*models, *tokenizers))


def _made_private_folder() -> str:
    """Make a folder with mode 0700; Ray opens those that it is given itself, and makes, to everybody."""
    global _private_folder
    where = tempfile.gettempdir()
    _private_folder = tempfile.mkdtemp(prefix="stepforge-", dir=where if len(where) <= LONGEST_FOLDER else "/tmp")  # noqa: S108
    return _private_folder


@contextmanager
def _without_hub_token() -> Iterator[None]:
    """Take the token out of the environment that is inherited inside."""
    taken = {name: os.environ.pop(name) for name in HUB_TOKENS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def ray_is_lost() -> bool:
    """Return whether the local Ray has lost its only node, whose raylet was killed; a cluster may yet get others."""
    import ray

    if os.environ.get("RAY_ADDRESS"):
        return False
    try:
        return not any(node["Alive"] for node in ray.nodes())
    except ray.exceptions.RayError:
        return True
