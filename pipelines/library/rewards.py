"""Verdicts from Python, and as reward functions for reinforcement learning trainers.

``undetermined`` is never 0: TRL gets None, which it leaves out; where a number is required, it is 0.5 and flagged.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from stepforge.pipelines.library.answers import text_pairs
from stepforge.pipelines.library.waiting import finished
from stepforge.pipelines.verification.own_verifier import OwnVerifier
from stepforge.pipelines.verification.verdicts import UNDETERMINED_REWARD, AnswerVerifier, Item, Verified, Verifier
from stepforge.schemas.errors import BadInput

Reward = Callable[..., list[float | None]]


def verify(
    items: Iterable[Item | tuple[str, str]], *, verifier: str | None = None, seconds: float = 60.0
) -> list[Verified]:
    """Return a verdict for each (response, reference) or ``Item``: ``correct``, ``wrong`` or ``undetermined``.

    Args:
        items: What to verify.
        verifier: your own ``module:function``, called as ``function(response, reference)`` in a killable process; it
            returns True, False, or None if it cannot tell. By default final answers are compared.
        seconds: Time for all of them; anything undecided by then is undetermined.

    Raises:
        BadInput: there is no such verifier.
    """
    if not isinstance(items, Iterable):
        raise BadInput(f"give a list of pairs, each a response and a reference, not {type(items).__name__}")
    given = [item if isinstance(item, Item) else _item(item) for item in items]
    if verifier is None:
        return finished(_kept().verify(given, client="python", seconds=seconds))
    return finished(_verified_once(OwnVerifier(verifier), given, seconds))


def trl_reward(answer: str = "solution", *, verifier: str | None = None) -> Reward:
    """Return a function for ``reward_funcs`` of TRL's GRPO and RLOO trainers.

    ``answer`` is the data set's column with the reference answers. An undetermined reward is None, which TRL leaves
    out.
    """

    def reward(
        prompts: Sequence[Any] | None = None, completions: Sequence[Any] = (), **columns: Any
    ) -> list[float | None]:
        if answer not in columns:
            raise BadInput(
                f"the data set has no column {answer!r}; name that with the reference answers: trl_reward(...)"
            )
        pairs = [(_text(c), _reference(r)) for c, r in zip(completions, columns[answer], strict=True)]
        return [one.reward for one in verify(pairs, verifier=verifier)]

    reward.__name__ = "stepforge_reward"  # TRL logs rewards under this name
    return reward


def verl_reward(
    data_source: str, solution_str: str, ground_truth: str, extra_info: object = None, **more: Any
) -> dict[str, float]:
    """The reward function of verl (``custom_reward_function.name=verl_reward``): ``score``, and ``undetermined``.

    An undetermined response scores 0.5, since verl takes numbers only; ``undetermined`` is then 1, to mask it by.
    """
    (found,) = verify([(solution_str, _reference(ground_truth))])
    score = UNDETERMINED_REWARD if found.reward is None else found.reward
    return {"score": score, "undetermined": float(found.reward is None)}


def _item(pair: object) -> Item:
    ((response, reference),) = text_pairs([pair], "a response and a reference")
    return Item(response=response, reference=reference)


def _reference(given: object) -> str:
    """Return a data set's cell as a text; none where it is missing, which a NaN also says."""
    return "" if given is None or given != given else str(given)


def _text(completion: Any) -> str:
    """Return the text of a completion, which is a string, or the messages of a conversation, whole or in parts."""
    if isinstance(completion, str):
        return completion
    said = [message.get("content") or "" for message in completion if message.get("role") == "assistant"]
    return "".join(
        content if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)
        for content in said
    )


@lru_cache(maxsize=1)
def _kept() -> AnswerVerifier:
    """Return a verifier whose processes are kept for the next call; they end when this process does."""
    return AnswerVerifier()


async def _verified_once(verifier: Verifier, items: Sequence[Item], seconds: float) -> list[Verified]:
    try:
        return await verifier.verify(items, client="python", seconds=seconds)
    finally:
        await verifier.close()
