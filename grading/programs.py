"""Finding the program in a solution's text: in a code fence, after a thought, or the whole text."""

import re

from stepforge.grading.frames import ENDS_OF_THOUGHT

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FIRST_LINE = re.compile(r"^(?:def |class |import |from |@|async def )", re.MULTILINE)


def program_in(text: str, entry_point: str) -> str | None:
    """Return the program of a solution; None where it holds none.

    Of several fences, the last that defines the entry point counts, else the last one. A text without a fence is a
    program from its first definition or import on; one that has neither continues where a prompt ends.
    """
    for end in ENDS_OF_THOUGHT:
        text = text.rpartition(end)[2]
    blocks = [text[start:end] for start, end in fenced(text)]
    if blocks:
        defining = [block for block in blocks if re.search(rf"\b{re.escape(entry_point)}\b", block)]
        return (defining or blocks)[-1]
    first = _FIRST_LINE.search(text)
    indented = text[:1] in (" ", "\t")
    program = text[first.start() :] if first and not indented else text
    return program if program.strip() else None


def fenced(text: str) -> list[tuple[int, int]]:
    """Return where the programs in code fences start and end, without the fences; one that nothing closes ends last."""
    return [match.span(2) for match in _FENCE.finditer(text)]


def completed(setup: str, entry_point: str, program: str) -> str:
    """Return the program to run: the setup, then a program that defines the function, or that continues where the setup
    ends."""
    if not setup:
        return program
    defines = re.search(
        rf"^(?:async )?def {re.escape(entry_point)}\b|^{re.escape(entry_point)}\s*=", program, re.MULTILINE
    )
    return f"{setup}\n\n{program}" if defines else setup + program
