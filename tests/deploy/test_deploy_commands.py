"""The installed programs take the command lines of deploy/ and of the docs; submit.sh beside a stand-in for Ray."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from stepforge.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STEPFORGE: Any = typer.main.get_command(app)
UsageError = typer.BadParameter.__mro__[1]
"""Typer brings its own copy of click in some versions and uses the installed one in others."""


def stepforge_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield where each `stepforge ...` command line stands, and its words."""
    for path in DOCS:
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^stepforge .*", block.replace("\\\n", " "), re.MULTILINE):
                yield path.name, shlex.split(line, comments=True)[1:]
    for path in sorted((DEPLOY / "kuberay").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            spec = document["spec"].get("jobTemplate", document["spec"])
            if "entrypoint" in spec:
                yield path.name, shlex.split(spec["entrypoint"])[1:]
            if "template" in spec:
                yield path.name, spec["template"]["spec"]["containers"][0]["command"][1:]
    (line,) = re.findall(r"stepforge run .*? >>", (DEPLOY / "cron" / "stepforge.cron").read_text().split("PATH")[-1])
    yield "stepforge.cron", shlex.split(line)[1:-1]
    (line,) = re.findall(r"-- (stepforge run .*?) 2>&1", (DEPLOY / "submit.sh").read_text())
    yield "submit.sh", [word for word in shlex.split(line)[1:] if word != "$@"]
    (line,) = re.findall(r'driver\.pid" ("\$run_file".*?) &', (DEPLOY / "slurm" / "stepforge.sbatch").read_text())
    yield "stepforge.sbatch", ["run", *(word for word in shlex.split(line) if word != "$@")]
    (words,) = re.findall(r"^CMD (\[.*\])", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    yield "Containerfile", yaml.safe_load(words)[1:]


def parse(command: Any, words: list[str], parent: Any = None) -> None:
    """Parse the words as the program would, and run nothing.

    Raises: UsageError: an unknown command or option, or an argument too many or too few.
    """
    context = command.make_context(command.name, list(words), parent=parent)
    if hasattr(command, "commands"):
        _, chosen, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        parse(chosen, rest, context)


LINES = list(stepforge_lines())


@pytest.mark.parametrize(("where", "words"), LINES, ids=[f"{where}: {' '.join(words)}" for where, words in LINES])
def test_stepforge_takes_its_command_lines(where: str, words: list[str]) -> None:
    parse(STEPFORGE, words)


@pytest.mark.parametrize(
    "words", [["run", "a.toml", "--ot", "x"], ["runn", "a.toml"], ["show", "folder", "a", "b"], ["run"]]
)
def test_a_wrong_command_line_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(STEPFORGE, words)


def test_every_kind_of_file_was_looked_at() -> None:
    found = {where for where, _ in LINES}
    assert found >= {"README.md", "clusters.md", "rayjob.yaml", "raycronjob.yaml", "publish.yaml", "stepforge.cron"}
    assert found >= {"submit.sh", "stepforge.sbatch", "Containerfile"}


def ray_lines(commands: Any) -> list[tuple[str, str]]:
    """Return the `ray ...` command lines of scripts and docs as (file, words up to the bare --)."""
    files = [DEPLOY / "submit.sh", DEPLOY / "slurm" / "stepforge.sbatch", ROOT / "docs" / "how-to" / "clusters.md"]
    lines = [
        (path.name, line)
        for path in files
        for line in re.sub(r"\\\n\s*", "", path.read_text()).splitlines()
        if not line.startswith("#")
    ]
    found = [(name, words) for name, line in lines for words in re.findall(r"(?:^|[^-\w/`])ray ([a-z].*)", line)]
    return [(name, words.split(" -- ")[0]) for name, words in found if words.split()[0] in commands]


def options_of(ray: Any, words: list[str]) -> tuple[str, set[str]]:
    """Return the ray command that the words name, and its long options."""
    command = ray.commands[words[0]]
    name = words[0]
    if hasattr(command, "commands"):
        command, name = command.commands[words[1]], f"{words[0]} {words[1]}"
    return name, {option for parameter in command.params for option in parameter.opts}


def test_ray_knows_the_options_that_are_used() -> None:
    from ray.scripts.scripts import cli as ray

    seen = set()
    _, of_start = options_of(ray, ["start"])
    for where, line in ray_lines(ray.commands):
        name, known = options_of(ray, line.split())
        seen.add(name)
        used = set(re.findall(r"(?<!\S)--[a-z][\w-]*", line))
        unknown = used - known - (of_start if name == "symmetric-run" else set())
        assert not unknown, f"{where}: ray {name} has no {unknown}"
        if name == "symmetric-run":  # its options go to every node, and these end `ray start` where there is no --head
            assert not any(option.startswith(("--include-dashboard", "--dashboard", "--head")) for option in used)
    assert seen >= {"job submit", "job status", "job logs", "job delete", "symmetric-run", "start"}


STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$STATE/calls"
case "$1 $2" in
  "job status")
    if [[ -e $STATE/answer ]]; then eval "echo \\"$(cat "$STATE/answer")\\""; exit; fi
    echo "RuntimeError: Request failed with status code 404: Job ${!#} does not exist." >&2; exit 1 ;;
  "job submit") echo "SUCC Job '$7' succeeded" >"$STATE/answer" ;;
  "job delete") rm "$STATE/answer" ;;
esac
"""


class Submission:
    """submit.sh beside a stand-in for `ray` that records its calls and answers as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "run.toml").write_text("problems = 1\n")
        ray = folder / "bin" / "ray"
        ray.parent.mkdir()
        ray.write_text(STAND_IN)
        ray.chmod(0o755)

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "calls").write_text("")
        known = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "STATE": str(self.folder),
            "TMPDIR": str(self.folder),
            "RAY_ADDRESS": "http://127.0.0.1:8265",
            "RAY_AUTH_TOKEN": "canary-of-the-cluster",
            "HF_TOKEN": "canary-of-the-hub",
        }
        command = [str(DEPLOY / "submit.sh"), *arguments]
        return subprocess.run(command, env=known | environment, capture_output=True, text=True, check=False)

    def answer(self, text: str) -> None:
        """Let `ray job status` say this; $4 there is the submission id."""
        (self.folder / "answer").write_text(text)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def ids(self) -> list[str]:
        return [found for call in self.calls for found in re.findall(r"--submission-id (\S+)", call)]


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission(tmp_path)


def test_a_new_run_is_submitted_and_followed(submission: Submission) -> None:
    result = submission(str(submission.folder / "run.toml"), "/runs/first night/", "--limit", "3")
    assert result.returncode == 0, result.stderr
    assert [call.split()[1] for call in submission.calls] == ["status", "submit", "logs", "status"]
    assert submission.calls[1].endswith("-- stepforge run run.toml --out /runs/first night --limit 3")
    (chosen,) = submission.ids()
    assert re.fullmatch(r"stepforge-first-night-[0-9a-f]{8}", chosen)
    assert "canary" not in " ".join(submission.calls) + result.stdout + result.stderr
    assert not list(submission.folder.glob("tmp.*")), "the parcel is cleared away"


def test_the_submission_id_follows_from_the_folder_alone(submission: Submission) -> None:
    def chosen(out: str, *more: str) -> str:
        (submission.folder / "answer").unlink(missing_ok=True)
        assert submission("--no-wait", str(submission.folder / "run.toml"), out, *more).returncode == 0
        return submission.ids()[0]

    assert chosen("/a/runs/x") == chosen("/a/runs/x/", "--limit", "9")
    assert len({chosen("/a/runs/x"), chosen("/b/runs/x"), chosen("s3://bucket/runs/x")}) == 3


@pytest.mark.parametrize(
    ("said", "done", "code"),
    [
        ("SUCC Job '$4' succeeded", ["status"], 0),
        ("Status for job '$4': RUNNING", ["status"], 0),
        ("ERR Job '$4' failed", ["status", "delete", "submit"], 0),
        ("WARN Job '$4' was stopped", ["status", "delete", "submit"], 0),
    ],
)
def test_what_is_done_or_under_way_is_not_submitted_again(
    submission: Submission, said: str, done: list[str], code: int
) -> None:
    submission.answer(said.replace("$4", "${!#}"))
    result = submission("--no-wait", str(submission.folder / "run.toml"), "/runs/failed")
    assert result.returncode == code, result.stderr
    assert [call.split()[1] for call in submission.calls] == done


def test_a_followed_run_that_fails_is_a_failure(submission: Submission) -> None:
    submission.answer("Status for job '${!#}': RUNNING")
    assert submission(str(submission.folder / "run.toml"), "/runs/a").returncode == 1
    assert [call.split()[1] for call in submission.calls] == ["status", "logs", "status"]


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "usage: "),
        (["nowhere.toml", "/runs/a"], {}, "nowhere.toml: no such file"),
        (["{run}", "runs/a"], {}, "runs/a: not an absolute path or an address"),
        (["{run}", "/runs/a"], {"RAY_ADDRESS": ""}, "RAY_ADDRESS: set it"),
        (["{run}", "/runs/a"], {"RAY_ADDRESS": "auto"}, "RAY_ADDRESS: set it"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_asked(
    submission: Submission, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    run = str(submission.folder / "run.toml")
    result = submission(*(argument.replace("{run}", run) for argument in arguments), **environment)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert submission.calls == []
