"""The scorers of reasoning-gym, as a rule called in isolation: the problem is drawn again from its seed."""

import json
import re
from importlib import import_module

from stepforge.grading.final_answer import extract_answer

_CODE = re.compile(r"__|\b(?:import|lambda|exec|eval|open|getattr|setattr|globals|locals|vars|os|sys|exit|quit)\b")
"""Some scorers execute the answer in the process of the verdict, so anything that could reach it is withheld."""


def score(question: str, solution: str, kept: dict[str, str]) -> bool | None:
    """Return whether the task's scorer gives a solution's answer full marks."""
    answer = extract_answer(solution)
    if answer is None:
        return False
    if _CODE.search(answer):
        return None
    source = json.loads(kept["reasoning_gym"])
    gym = import_module("reasoning_gym")
    dataset = gym.create_dataset(source["task"], seed=source["seed"], size=1, **source["options"])
    return bool(dataset.score_answer(answer, dataset[0]) >= 1.0)
