"""An event loop for the engines of a file."""

from collections.abc import Iterator

import pytest
from engine_setup import Loop


@pytest.fixture(scope="module")
def run() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()
