"""A rule of one's own: asked in isolation, with three outcomes; a failure of it is never a wrong solution."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from stepforge.generators.problem_sets import ProblemSet, SourceItem
from stepforge.labelers import MathShepherd
from stepforge.pipelines.commands.grade import grade_file
from stepforge.pipelines.engines import ScriptedEngineSettings
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.inputs.problem_files import open_problems
from stepforge.pipelines.library.labeling import Task, label_solutions
from stepforge.pipelines.run.preflight import check_isolation
from stepforge.pipelines.sandbox.sandbox import Ruling, Sandbox
from stepforge.pipelines.settings.run_settings import parse_settings, read_run_file
from stepforge.schemas.errors import BadInput
from stepforge.schemas.verifier import AnyVerifier, CommandVerifier, PythonVerifier

FOLDER = Path(__file__).parents[2] / "examples" / "own_verifier"
QUESTION = "May a tenant keep a dog under section 12?"
RIGHT, WRONG = "section 12 says so. Result: allowed", "Result: allowed"
FUNCTION = PythonVerifier(function="legal_opinion:names_the_statute", seconds=60)
COMMAND = CommandVerifier(command=("{python}", str(FOLDER / "check.py")), seconds=60)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER), str(tmp_path)])


def rulings(rule: AnyVerifier, *asked: tuple[str, str]) -> list[Ruling]:
    async def ask() -> list[Ruling]:
        async with Sandbox() as sandbox:
            questions = [{"question": question, "solution": solution, "kept": {}} for question, solution in asked]
            return await asyncio.gather(*(asyncio.wrap_future(sandbox.ask(rule, one)) for one in questions))

    return asyncio.run(ask())


@pytest.mark.parametrize("rule", [FUNCTION, COMMAND], ids=["function", "command"])
def test_a_rule_has_three_outcomes(rule: AnyVerifier) -> None:
    found = rulings(rule, (QUESTION, RIGHT), (QUESTION, WRONG), ("May he?", RIGHT))
    assert [ruling.outcome for ruling in found] == ["correct", "wrong", "undetermined"]


def test_a_rule_grades_a_file_and_a_task(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    texts = [RIGHT, WRONG, ["section 12 says so.", "Result: allowed"]]
    rows.write_text("".join(json.dumps({"question": QUESTION, "reply": text}) + "\n" for text in texts))
    summary = grade_file(rows, None, "reply", tmp_path / "out.jsonl", verifier=FUNCTION.function)
    assert (summary.correct, summary.wrong, summary.undetermined) == (2, 1, 0)
    with pytest.raises(BadInput, match="cannot be imported"):
        grade_file(rows, None, "reply", None, verifier="nowhere:rule")
    with pytest.raises(BadInput, match="--answer"):
        grade_file(rows, None, "reply", None)
    task = Task(question=QUESTION, verifier=FUNCTION, solutions=(RIGHT, WRONG))
    (row,) = label_solutions([task], MathShepherd(k=1), engine=ScriptedEngineSettings())
    assert [s.rollout.outcome for s in row.solutions] == ["correct", "wrong"]


FAULTS = {
    "an error": "raise ValueError('no')",
    "an end": "import os\n    os._exit(0)",
    "another word": "return 'yes'",
    "a number": "return 1",
    "the network": "import socket\n    socket.socket()",
    "a file of others": "open('/etc/passwd')",
    "too long": "while True: pass",
}


def test_a_failure_of_a_rule_is_undetermined(tmp_path: Path) -> None:
    functions = [f"def rule{i}(question, solution):\n    {body}\n" for i, body in enumerate(FAULTS.values())]
    (tmp_path / "faulty_rules.py").write_text("\n".join(functions))
    for i, name in enumerate(FAULTS):
        (found,) = rulings(PythonVerifier(function=f"faulty_rules:rule{i}", seconds=3), (QUESTION, RIGHT))
        assert found.outcome == "undetermined", name


@pytest.mark.parametrize(
    "script", ["exit 1", "echo yes", "echo correct; exit 3", "sleep 30", "cat /etc/passwd && echo correct", ""]
)
def test_a_failure_of_a_command_is_undetermined(script: str) -> None:
    (found,) = rulings(CommandVerifier(command=("/bin/sh", "-c", script), seconds=2), (QUESTION, RIGHT))
    assert found.outcome == "undetermined"


def test_what_a_command_leaves_behind_is_ended() -> None:
    import psutil

    script = "sleep 77.5 & setsid sleep 77.5 & echo correct"
    (found,) = rulings(CommandVerifier(command=("/bin/sh", "-c", script), seconds=5), (QUESTION, RIGHT))
    assert found.outcome in ("correct", "undetermined")
    left = [p for p in psutil.process_iter(["cmdline"]) if "77.5" in (p.info["cmdline"] or [])]
    assert left == []


def run_file(verifier: dict[str, object], folder: Path) -> dict[str, object]:
    (folder / "questions.jsonl").write_text(f'{{"question": "{QUESTION}"}}\n')
    source = {"kind": "problem_set", "path": "questions.jsonl", "verifier": verifier}
    return {"generate": [source], "engine": {"kind": "scripted"}, "label": [{"kind": "math_shepherd"}]}


def test_a_missing_rule_is_named_before_the_run(tmp_path: Path) -> None:
    for rule, said in (
        ({"kind": "command", "command": ["no-such-program"]}, "no program 'no-such-program'"),
        ({"kind": "python", "function": "no_such_module:rule"}, "cannot be imported"),
    ):
        run = parse_settings(run_file(rule, tmp_path), "run.toml", tmp_path)
        with pytest.raises(BadInput, match=said):
            check_isolation(run)


def test_files_of_a_command_are_found_beside_the_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "check.py").write_text((FOLDER / "check.py").read_text())
    rule = {"kind": "command", "command": ["{python}", "check.py"]}
    run = parse_settings(run_file(rule, tmp_path), "run.toml", tmp_path)
    check_isolation(run)
    assert run.generate[0].verifier.command == ("{python}", str(tmp_path / "check.py"))  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path.parent)
    (found,) = rulings(run.generate[0].verifier, (QUESTION, RIGHT))  # type: ignore[union-attr,arg-type]
    assert found.outcome == "correct"


def test_a_word_of_a_command_may_be_longer_than_a_name(tmp_path: Path) -> None:
    rule = {"kind": "command", "command": ["{python}", "-c", "#" * 5000]}
    run = parse_settings(run_file(rule, tmp_path), "run.toml", tmp_path)
    assert run.generate[0].verifier.command == tuple(rule["command"])  # type: ignore[union-attr]


def test_the_example_run_is_complete() -> None:
    run = read_run_file(FOLDER / "run.toml")
    check_isolation(run)
    (part,) = run.generate
    assert isinstance(part, ProblemSet)
    problems = [item.problem for item in open_problems(part).rows(0, 2) if isinstance(item, SourceItem)]

    async def outcomes() -> list[str]:
        async with PooledGrader() as grader:
            return [*await grader.grade(problems[0], [RIGHT, WRONG]), *await grader.grade(problems[1], [RIGHT])]

    assert asyncio.run(outcomes()) == ["correct", "wrong", "wrong"]
