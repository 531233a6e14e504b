"""The extras that pages name are those of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_the_table_of_extras_names_what_exists(page: str) -> None:
    (table,) = re.findall(r"^\| extra \| adds \|\n(.*?)\n\n", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    named = {name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert {"cpu", "gpu"} <= named <= set(EXTRAS)
