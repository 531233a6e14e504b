"""Fixtures of the runs against servers."""

from server_runs import server, undisturbed

__all__ = ["server", "undisturbed"]
