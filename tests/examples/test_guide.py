"""What the guide and the page of exports say of the dry run is what it prints."""

import json
from pathlib import Path

import pytest
from command_line import stepforge

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_pages_show_what_the_dry_run_prints(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = stepforge("run", ROOT / "configs" / "dry_run.toml", "--out", folder, "--json", "--quiet")
    assert result.returncode == 0, result.stderr
    shown = stepforge("show", folder, "quantities-1-0000001").stdout
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    (block,) = (block for block in guide.split("```")[1::2] if block.startswith("\nsolution "))
    assert block.strip() in shown
    report = json.loads(result.stdout)
    pairs, contrast = report["pairs"], report["cost"]["labelers"]["contrast"]
    said = f"{pairs['apart']} of {pairs['first_errors']} first errors have a pair after {contrast['rollouts']} more"
    assert said in " ".join((ROOT / "docs" / "reference" / "exports.md").read_text(encoding="utf-8").split())
