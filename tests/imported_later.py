"""Modules that take seconds to import, imported when they are first used: ``pytest -n`` collects every file in every
process, and most of those processes run no test that needs torch."""

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module until one of its names is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


torch, transformers = Later("torch"), Later("transformers")
