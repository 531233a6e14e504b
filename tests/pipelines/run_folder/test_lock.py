"""One driver a folder; who only looks writes nothing and holds nothing, on a disk or in a store."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem

from stepforge.pipelines.run_folder.lock import is_current, is_held, only_driver
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.store import StorePath
from stepforge.schemas.errors import BadInput


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk refuse whatever writes, as a read-only mount does."""
    real = os.open

    def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", opened)


def test_a_live_run_is_seen_on_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    with only_driver(layout), monkeypatch.context() as patched:
        read_only(patched)
        assert is_held(layout)
    with monkeypatch.context() as patched:
        read_only(patched)
        assert not is_held(layout)
        with pytest.raises(BadInput, match="cannot be written to"), only_driver(layout):
            pass


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    assert not is_held(Layout(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_driver_is_not_kept_out_by_lookers(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for _ in range(20):
        with only_driver(layout) as session:
            assert is_held(layout)
            assert is_current(layout, session)
        assert not is_held(layout)


def test_the_name_in_the_lock_is_that_of_the_last_driver(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with only_driver(layout) as first:
        pass
    with only_driver(layout) as second:
        assert is_current(layout, second)
        assert not is_current(layout, first)


def test_a_store_is_only_read_by_who_looks(tmp_path: Path) -> None:
    layout = Layout(StorePath(str(tmp_path), "s3", LocalFileSystem()))
    (tmp_path / "drivers").mkdir()
    assert not is_held(layout)
    (tmp_path / "drivers" / "old").write_text("x")
    (tmp_path / "drivers" / "old.beat").write_text("x")
    assert is_held(layout)
    for path in (tmp_path / "drivers").iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    assert not is_held(layout)
    assert sorted(path.name for path in (tmp_path / "drivers").iterdir()) == ["old", "old.beat"]
