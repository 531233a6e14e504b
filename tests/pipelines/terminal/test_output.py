"""Whatever is printed cannot act on the terminal, and JSON stays the same JSON."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepforge.pipelines.terminal.output import say, say_traceback, visible

ROOT = Path(__file__).parents[3]
MARKS = "\x00\x07\x08\x1b\x7f\x9b\u00ad\u061c\u200b\u200e\u2028\u202e\u2066\ufeff\U000e0041\udc80\r"


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(MARKS))))
def test_nothing_unseen_is_left_and_json_says_the_same(text: str) -> None:
    shown = visible(text)
    assert not set(shown) & set(MARKS)
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ["", "a\tb\n", "naïve Ω 数学", "שלום", "\u0645\u06cc\u200c\u062e", "👩\u200d🔬"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


def test_errors_that_nobody_caught_are_shown_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("\x1b]0;owned\x07")
    say_traceback(ValueError, error, None)
    say("plain \u202e")
    printed = capsys.readouterr()
    assert printed.err == "ValueError: \\u001b]0;owned\\u0007\n"
    assert printed.out == "plain \\u202e\n"


def test_the_command_line_prints_in_no_other_way() -> None:
    for path in (ROOT / "cli.py", *sorted((ROOT / "pipelines" / "command_line").glob("*.py"))):
        assert not re.search(r"typer\.echo|\bprint\(|stdout\.write|stderr\.write", path.read_text()), path.name
