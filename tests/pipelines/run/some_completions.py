"""A request, and an answer to it."""

from stepforge.schemas.protocols import Completion, Prompt, Sampling

PROMPT = Prompt(text="Ann has 3 coins.\n")
SAMPLING = Sampling(max_tokens=200)


def completion(text: str = "3 + 4 = 7\n", **fields: object) -> Completion:
    ids = tuple(range(len(text)))
    whole = {"text": text, "token_ids": ids, "token_ends": tuple(i + 1 for i in ids), "finish": "stop", "tokens": 11}
    return Completion.model_validate(whole | fields)
