"""Bad input: one clear line, exit code 2, no traceback, nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import refused, stepforge

GOOD = """
problems = 4
[engine]
kind = "scripted"
[[generate]]
kind = "sequence"
[[label]]
kind = "omega_prm"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace('kind = "omega_prm"', 'kind = "omega_prm"\ntrails = 3'), "label.0.trails: unknown setting"),
        (GOOD.replace("problems", "problms"), "problms: unknown setting, did you mean problems?"),
        (GOOD.replace('"scripted"', '"vlm"'), "engine: no kind 'vlm'; did you mean vllm?"),
        (GOOD.replace("[[label]]", "[label]"), "write [[label]], not [label]"),
        (GOOD.replace('kind = "scripted"', 'kind = "server"\nbase_url = "x"'), "here it is called address"),
        (
            GOOD.replace('kind = "scripted"', 'kind = "vllm"\nblock_size = 16'),
            "engine.block_size: unknown setting, did you mean vllm = { block_size = ... }?",
        ),
        (
            GOOD.replace('kind = "scripted"', 'kind = "vllm"\nprefix_caching = false\nvllm = { block_size = 16 }'),
            "engine.prefix_caching: unknown setting, did you mean vllm = { enable_prefix_caching = ... }?",
        ),
        (
            GOOD.replace("problems = 4", "problems = -1").replace('kind = "omega_prm"', 'kind = "omega_prm"\nK = 2'),
            "label.0.K: unknown setting, did you mean k?",
        ),
        (GOOD.replace("problems = 4", 'problems = "many"'), "problems: "),
        (GOOD.replace("problems = 4", "problems = -1"), "problems: "),
        (GOOD + "[[label]]\nkind = 'omega_prm'\n", "label: omega_prm is listed twice"),
        (GOOD + "[policy]\nprompt = 'no question'\n", "policy.prompt: has no {question}"),
        (GOOD.replace("[[label]]", "[[label]"), "not TOML"),
        (GOOD + "[policy]\nsegmenter = 'line'\n", 'policy.segmenter: a table belongs here, such as { kind = "line" }'),
        ("workers = 'fast'" + GOOD, "workers: a table belongs here, not 'fast'"),
        (GOOD.replace('kind = "sequence"', 'kind = "sequence"\nlevels = [9]'), "level 9 is outside 1 to 6"),
        (GOOD.replace('kind = "sequence"', 'kind = "problem_set"\npath = "missing.jsonl"'), "missing.jsonl"),
        (GOOD.replace('kind = "scripted"', 'kind = "vllm"\nmodel = "./nowhere"'), "engine.model: ./nowhere"),
        (GOOD.replace("problems = 4", "problems = true"), "problems: true or false where a number is expected"),
        (GOOD.replace("problems = 4", "problems = 2026-01-01"), "problems: Input should be a valid integer"),
        (GOOD.replace("problems = 4", "problems = 99999999999"), "problems: Input should be less than or equal to"),
        (
            GOOD.replace('kind = "scripted"', 'kind = "scripted"\nlatency_ms = nan'),
            "engine.latency_ms: Input should be",
        ),
        (GOOD + "[policy]\nstop = ['']\n", "policy.stop.0: String should have at least 1 character"),
        (GOOD.replace("problems = 4", f"problems = {'9' * 5000}"), "not TOML"),
        (f"{GOOD}[train]\ncommand = {'[' * 5000}{']' * 5000}\n", "nested too deep"),
        *(
            (GOOD.replace('kind = "scripted"', f'kind = "server"\naddress = "{address}"'), "is not an address")
            for address in (
                "http://h:99999/v1",
                "http://[::1/v1",
                "http:///v1",
                "127.0.0.1:8000",
                "http://me:key@h/v1",
                "http://h/v1?v=1",
                "http://a\u200bb/v1",
            )
        ),
        (
            GOOD.replace('kind = "scripted"', 'kind = "server"\naddress = "http://127.0.0.1:9/v1"'),
            "no server answers at http://127.0.0.1:9/v1",
        ),
    ],
)
def test_a_bad_run_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(text)
    assert said in refused("run", run_file, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_run_file(tmp_path: Path) -> None:
    assert "no such run file" in refused("run", tmp_path / "none.toml")


def test_a_malformed_row_names_file_row_and_field(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n{"question": 7, "answer": "2"}\n')
    run_file = tmp_path / "run.toml"
    run_file.write_text(
        GOOD.replace('kind = "sequence"', 'kind = "problem_set"\npath = "set.jsonl"\nanswer = "answer"')
    )
    line = refused("run", run_file, "--out", tmp_path / "out")
    assert "set.jsonl" in line
    assert "2" in line
    assert "question" in line


@pytest.mark.parametrize(
    "override",
    [
        "label",
        "=3",
        "label.7.k=1",
        "problems.x=1",
        "engine.error_rate=2",
        "label.\u00b2.k=1",
        f"seed={'9' * 5000}",
        "seed=" + "[" * 5000,
    ],
)
def test_a_bad_override_is_one_line(tmp_path: Path, override: str) -> None:
    run_file = tmp_path / "run.toml"
    run_file.write_text(GOOD)
    assert refused("run", run_file, "--out", tmp_path / "out", "--set", override)


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_folder_that_is_no_run(tmp_path: Path, command: str) -> None:
    assert "not a run folder" in refused(command, tmp_path)
    assert "no such folder" in refused(command, tmp_path / "none")
    (tmp_path / "file").touch()
    assert "not a folder" in refused(command, tmp_path / "file")
    (tmp_path / "run.toml").write_text(GOOD.replace("problems", "problms"))
    assert "another version of stepforge" in refused(command, tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run", "missing argument 'RUN.toml'"),
        ("reprot runs/a", "no such command 'reprot'. Did you mean 'report'"),
        ("run a.toml --lmit 3", "no such option: --lmit"),
        ("run a.toml --limit", "'--limit' requires an argument"),
        ("relabel runs/a", "missing option '--rule'"),
        ("bench nothing", "no such command 'nothing'"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: str, said: str) -> None:
    assert said in refused(*words.split())


def test_grade_command(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"a": "#### 18", "r": ["First.", "So the answer is 18."]}\n{"a": "#### 18", "r": ["It is 17."]}\n')
    out = tmp_path / "graded.jsonl"
    result = stepforge("grade", rows, "--answer", "a", "--response", "r", "--out", out)
    assert result.returncode == 0, result.stderr
    assert [line.split('"verdict": "')[1].split('"')[0] for line in out.read_text().splitlines()] == [
        "correct",
        "wrong",
    ]
    assert "b" in refused("grade", rows, "--answer", "b", "--response", "r")


def test_doctor_says_what_is_there() -> None:
    result = stepforge("doctor")
    assert result.returncode == 0
    assert "engine scripted" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    heavy = ("ray", "torch", "vllm", "pyarrow", "pydantic", "sympy")
    code = f"import sys, stepforge.cli; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
