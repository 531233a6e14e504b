"""Solutions given as steps: what the model is asked to continue reads as the same solution given as a text."""

import pytest

import stepforge

TEXT = "7 + 5 = 12.\n\nTwice 12 is 25. So it is 25.\n\nThe answer is 25."


def asked(solution: str | tuple[str, ...]) -> set[str]:
    seen = set()

    async def complete(text: str, seed: int) -> str:
        seen.add(text)
        return "The answer is 24."

    task = stepforge.Task(question="What is twice 7 + 5?", answer="24", solutions=(solution,))
    stepforge.label_solutions([task], "math_shepherd", engine=complete)
    return seen


def test_steps_that_nothing_separates_get_blank_lines() -> None:
    prompt = stepforge.PolicySettings().prompt.format(question="What is twice 7 + 5?")
    assert asked(tuple(TEXT.split("\n\n"))) == asked(stepforge.cut(TEXT, "blank_line"))
    assert f"{prompt}7 + 5 = 12.\n\n" in asked(tuple(TEXT.split("\n\n")))


@pytest.mark.parametrize("segmenter", ["blank_line", "line", "sentence", "pieces"])
def test_steps_that_were_cut_stay_the_text(segmenter: str) -> None:
    steps = stepforge.cut(TEXT, segmenter)
    begun = {"".join(steps[:n]) for n in range(len(steps))}
    assert {text.removeprefix("What is twice 7 + 5?\n") for text in asked(steps)} <= begun


@pytest.mark.parametrize("steps", [("",), ("7 + 5 = 12.\n", "", "The answer is 12."), ("The answer is 24.", "")])
def test_an_empty_step_is_bad_input(steps: tuple[str, ...]) -> None:
    with pytest.raises(stepforge.BadInput, match=rf"step {steps.index('')} of {len(steps)} is empty"):
        asked(steps)
