"""CHAMP's annotated solutions, as docs/how-to/peoples-labels.md reads them. Skipped without the PyPI package."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepforge.generators.problem_sets import ProblemSet, row_to_problem
from stepforge.generators.supplied import on_steps
from stepforge.schemas.rollout import PeopleLabel

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "peoples-labels.md"


def test_champ_is_read_as_the_how_to_says(tmp_path: Path) -> None:
    if find_spec("champ_dataset") is None:
        pytest.skip("champ-dataset is not installed: pip install champ-dataset (MIT, 540 annotated solutions)")
    _, script, settings = re.findall(r"```(?:python|toml)\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    part = ProblemSet.model_validate(dict(re.findall(r'(\w+) = "(.*)"', settings)) | {"kind": "problem_set"})
    rows = [json.loads(line) for line in (tmp_path / "champ.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [row_to_problem(part, row, n, "champ.jsonl").solutions for n, row in enumerate(rows, 1)]
    assert len(found) == 540
    labels = [(row, one.people) for row, (one,) in zip(rows, found, strict=True) if one.people is not None]
    assert [sum(people.error_start is None for _, people in labels), len(labels)] == [96, 540]
    for row, people in labels:
        steps = re.split(r"(?<=\n\n)(?!\n)", row["solution"])
        _names_the_step(people, steps, row)


def _names_the_step(people: PeopleLabel, steps: list[str], row: dict[str, object]) -> None:
    error = on_steps(people, steps).first_error
    span = row["span"]
    assert (error is None) == (span == [])
    if error is not None and isinstance(span, list):
        assert len("".join(steps[:error])) <= span[0] < len("".join(steps[: error + 1]))
