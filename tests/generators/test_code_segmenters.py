"""Programs cut into statements and blocks; joined, the pieces are the text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepforge.generators.families.programs import Programs
from stepforge.generators.segmenters import Block, Statement

PROGRAM = '''import math

# Adds up.
def f(xs):
    """Add
    up."""
    t = 0  # the sum

    for x in xs:
        if x > 3:
            t += g(x,
                   2)
        else:
            t -= x
    # done
    return t
'''


def test_statements_and_blocks() -> None:
    assert Statement()(PROGRAM) == (
        "import math\n\n",
        "# Adds up.\ndef f(xs):\n",
        '    """Add\n    up."""\n',
        "    t = 0  # the sum\n\n",
        "    for x in xs:\n",
        "        if x > 3:\n",
        "            t += g(x,\n                   2)\n",
        "        else:\n",
        "            t -= x\n",
        "    # done\n    return t\n",
    )
    loop = PROGRAM[PROGRAM.index("    for") : PROGRAM.index("    # done")]
    assert Block()(PROGRAM)[3:] == ("    t = 0  # the sum\n\n", loop, "    # done\n    return t\n")


def test_a_fence_is_cut_and_the_text_around_it_is_not() -> None:
    text = f"First. Then.\n\n```python\n{PROGRAM}```\nThat is all.\n\nReally.\n"
    pieces = Statement()(text)
    assert pieces[0] == "First. Then.\n\n```python\n"
    assert pieces[1:-1] == Statement()(PROGRAM)
    assert pieces[-1] == "```\nThat is all.\n\nReally.\n"


@pytest.mark.parametrize("end", ["t = (1,", "t = '", 't = """a', "  if", "t = $", "def g(x:", "\tx = 1\n  y = 2"])
def test_what_does_not_parse_is_cut_at_lines(end: str) -> None:
    text = f"def f(x):\n    y = x\n    {end}\n    z = 3\n"
    assert "".join(Block()(text)) == text
    pieces = Statement()(text)
    assert "".join(pieces) == text
    assert pieces[:2] == ("def f(x):\n", "    y = x\n")


def test_decorators_stay_with_what_they_decorate() -> None:
    assert Statement()("@cache\n@wraps\ndef f():\n    pass\n") == ("@cache\n@wraps\ndef f():\n", "    pass\n")


def test_a_reference_program_has_a_statement_a_line() -> None:
    for i in range(60):
        text = Programs(levels=(1, 2, 3, 4, 5, 6)).item(3, i).known_solution or ""
        assert Statement()(text) == tuple(text.splitlines(keepends=True))


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=" \n\t:#'\"()@\\`ifdefxyz=1é\r\x0c", max_size=200))
@example("\ré")  # Python 3.12 and later cannot decode it
def test_the_pieces_joined_are_the_text(text: str) -> None:
    for segmenter in (Statement(), Block()):
        pieces = segmenter(text)
        assert "".join(pieces) == text
        assert all(pieces)
        assert len(pieces) <= 1 or not any(map(str.isspace, pieces))
