"""Ray: a local instance bound to loopback, or the cluster that ``RAY_ADDRESS`` names."""

import logging
import os
import secrets
import sys
from typing import Any

CHILDREN_DIE = ("RAY_process_group_cleanup_enabled", "true")
"""By this a worker that is killed takes its children along: an engine's process would keep the GPU. A cluster's nodes
need it in the environment of ``ray start``."""


def start_ray() -> None:
    """Join the cluster of ``RAY_ADDRESS``, or start a local Ray that listens on loopback and asks for a token.

    The token is drawn for this Ray alone and handed to its processes through their environment, never to a file.
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
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": True}
    if address is None:
        options["include_dashboard"] = False
    ray.init(address, **options)


def stop_ray() -> None:
    """Leave the cluster; a local Ray that was started here ends."""
    import ray

    ray.shutdown()


def ray_is_lost() -> bool:
    """Return whether the local Ray has lost its only node, whose raylet was killed; a cluster may yet get others."""
    import ray

    if os.environ.get("RAY_ADDRESS"):
        return False
    try:
        return not any(node["Alive"] for node in ray.nodes())
    except ray.exceptions.RayError:
        return True
