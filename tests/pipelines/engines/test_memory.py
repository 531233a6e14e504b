"""The memory that an engine's cache is sized by."""

from pathlib import Path

import pytest

from stepforge.pipelines.engines import memory


@pytest.mark.parametrize("limit, expected", [("3000000000\n", 3_000_000_000), ("max\n", None), ("9" * 19, None)])
def test_a_container_s_limit_counts_if_it_is_less(
    limit: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CGROUP", (tmp_path / "missing",))
    whole = memory.memory_bytes()
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(memory, "CGROUP", (tmp_path / "missing", tmp_path / "memory.max"))
    assert memory.memory_bytes() == (expected or whole)
    assert whole > 3_000_000_000
