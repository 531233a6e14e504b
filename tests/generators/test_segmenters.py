"""Segmenters: joined pieces are the text for every text, at linear cost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepforge.generators.segmenters import BlankLine, Line, Pieces, Segmenter, Sentence, StepMarker

SEGMENTERS: tuple[Segmenter, ...] = (BlankLine(), Line(), StepMarker(), Sentence(), Pieces(), Pieces(count=3))
N = 100_000
HOSTILE = {
    "stops": "." * N, "dollars": "$a " * (N // 3), "brackets": r"\( " * (N // 3), "line breaks": "\n" * N,
    "spaces": " " * N, "indented blanks": "\n " * (N // 2), "sentences": "A. " * (N // 3), "quotes": '."' * (N // 2),
    "hashes": "#" * N, "markers": "Step 1:\n" * (N // 8), "tabs": "\n" + "\t" * N + "x",
    "double dollars": "$$" * (N // 2), "backslashes": "\\" * N, "wide spaces": "\u3000" * N + "x",
    "ideographs": "\u4e00" * N, "dollars and blanks": "$a\n\n" * (N // 4), "displays": "\\[\n\n" * (N // 4),
    "environments": "\\begin{a}\n\n" * (N // 10), "fences": "```\n" * (N // 4),
    "open fences": "````\n\n```\n" * (N // 10), "list items": "1. a\n" * (N // 5), "wide stops": "\u3002" * N,
    "bold steps": "**Step " * (N // 7), "ordinals": "First, a. " * (N // 10) + "Second, b.",
    "latex": "\\textbf{" * (N // 8),
}  # fmt: skip
PIECES = [
    "A", "b.", " ", "\n", "\r\n", "\n\n", "\t", "$", r"\(", r"\)", "Step 1:", "3.14", "e.g. ", '"', "é", "中", "\x0b",
    "!", "X ", "1. ", "2. ", "First, ", ". Second, ", " Then we ", "```\n", r"\[", r"\]", r"\begin{align}",
    r"\end{align}", "$$", "\u3002",
]  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@settings(deadline=None)
@given(texts)
def test_pieces_joined_are_the_text_and_none_is_blank(text: str) -> None:
    for segmenter in SEGMENTERS:
        pieces = segmenter(text)
        assert "".join(pieces) == text
        assert all(pieces)
        assert len(pieces) <= 1 or all(piece.strip() for piece in pieces)
    assert all(segmenter("") == () for segmenter in SEGMENTERS)


@settings(deadline=None)
@given(texts)
def test_a_piece_cut_again_stays_whole(text: str) -> None:
    for segmenter in (BlankLine(), Line(), StepMarker()):
        assert all(segmenter(piece) == (piece,) for piece in segmenter(text))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_cut_in_linear_time(name: str) -> None:
    text = HOSTILE[name]
    for segmenter in SEGMENTERS:
        assert "".join(segmenter(text)) == text


def test_blank_lines_stay_with_the_step_before() -> None:
    assert BlankLine()("a\nb\n\n\nc\n\nd") == ("a\nb\n\n\n", "c\n\n", "d")
    assert BlankLine()("a\r\n\r\nb") == ("a\r\n\r\n", "b")
    assert BlankLine()("a\n \t\n  b") == ("a\n \t\n", "  b")
    assert BlankLine()("\n\na\n\n") == ("\n\na\n\n",)


def test_lines() -> None:
    assert Line()("a\n\nb\nc") == ("a\n\n", "b\n", "c")
    assert Line()("a\u2028b\rc") == ("a\u2028b\rc",)


def test_step_markers_start_a_step_and_the_opening_belongs_to_the_first() -> None:
    text = "Let us see.\nStep 1: a, see Step 2: no\n**Step 2:** b\n## Step 10: c"
    assert StepMarker()(text) == ("Let us see.\nStep 1: a, see Step 2: no\n", "**Step 2:** b\n", "## Step 10: c")
    assert StepMarker()("no marker here") == ("no marker here",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ("One.", " Two!", " Three?", " Four")),
        ("It is 3.14 exactly. Next", ("It is 3.14 exactly.", " Next")),
        ("Take e.g. Ann or Dr. Bob. Then", ("Take e.g. Ann or Dr. Bob.", " Then")),
        ("So $x. Y$ holds. Next", ("So $x. Y$ holds.", " Next")),
        (r"So \(x. Y\) and \[a. B\] hold. Next", (r"So \(x. Y\) and \[a. B\] hold.", " Next")),
        ("He pays $5. She has $3. Both", ("He pays $5.", " She has $3.", " Both")),
        ('He said "Go." She went.', ('He said "Go."', " She went.")),
        ("first. second", ("first. second",)),
        ("Done.\n\nNext. \nLast", ("Done.\n\n", "Next. \n", "Last")),
        ("Do:\n1. Add\n2. Halve. 7 left", ("Do:\n1. Add\n2. Halve.", " 7 left")),
        (r"An amount of \$5. It is $6$. So", (r"An amount of \$5.", " It is $6$.", " So")),
        ("1. First we add. 2. Then we subtract.", ("1. First we add.", " 2. Then we subtract.")),
        ("Let n be no. 5 in the list. No. 6 is next.", ("Let n be no. 5 in the list.", " No. 6 is next.")),
        (
            "How many? 7. Then add. Is it so? No. Ann has",
            ("How many?", " 7.", " Then add.", " Is it so?", " No.", " Ann has"),
        ),
        ("\u4e00\u3002\u4e8c\uff01\u4e09\uff1f", ("\u4e00\u3002", "\u4e8c\uff01", "\u4e09\uff1f")),
        ("\u201c\u597d\u3002\u201d\u4ed6\u3002", ("\u201c\u597d\u3002\u201d", "\u4ed6\u3002")),
        ("Aa.\r\nBb.\r\nCc", ("Aa.\r\n", "Bb.\r\n", "Cc")),
        ("See:\n```\nAa. Bb. Cc.\n```\nSo. Done", ("See:\n```\nAa. Bb. Cc.\n```\nSo.", " Done")),
    ],
)
def test_sentences(text: str, expected: tuple[str, ...]) -> None:
    assert Sentence()(text) == expected


BLOCKS = (
    "```python\nx = 1\n\nprint(x)\n```",
    "~~~\n\n```\n\n~~~",
    "\\[\nx = 1\n\ny = 2\n\\]",
    "$$\nx = 1\n\ny = 2\n$$",
    "\\begin{align*}\nx &= 1 \\\\[2pt]\n\n\\begin{cases}a\n\nb\\end{cases}\n\ny &= 2\n\\end{align*}",
)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_no_segmenter_cuts_inside_a_block(block: str, line_break: str) -> None:
    text = f"First we see that. It is so.\n\n{block}\n\nStep 1: And so on. It ends.\n\nStep 2: Done."
    text, whole = text.replace("\n", line_break), block.replace("\n", line_break)
    for segmenter in (*SEGMENTERS, Pieces(count=100)):
        pieces = segmenter(text)
        assert "".join(pieces) == text
        assert sum(whole in piece for piece in pieces) == 1, segmenter
    assert len(BlankLine()(text)) == 4


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("```\na\n\nb", 2),
        (r"\[ a" + "\n\nb", 2),
        (r"\begin{align} a" + "\n\nb", 2),
        ("$$a\n\nb$$ c\n\n$$d", 3),
        (r"\[ a" + "\n\nb " + r"\[ c \]" + "\n\nd", 3),
        (r"\begin{proof}a" + "\n\n" + r"b\end{proof}", 2),
        (r"```\begin{x}" + "\n```\n\n" + r"b\end{x}" + "\n\nc", 3),
    ],
)
def test_a_block_that_nothing_closes_holds_nothing_together(text: str, pieces: int) -> None:
    assert len(BlankLine()(text)) == pieces


def test_pieces_are_about_equal_and_cut_between_words() -> None:
    text = " ".join(f"word{i}" for i in range(400))
    pieces = Pieces()(text)
    assert len(pieces) == 16
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 20
    assert all(piece.startswith(" word") for piece in pieces[1:])
    assert Pieces()("two words") == ("two", " words")
    assert len(Pieces(count=4)("中" * 40)) == 4
