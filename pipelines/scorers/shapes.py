"""The published shapes of process reward models: what is read where, and how that becomes a probability.

A shape turns a solution into readings (token ids and positions to read, one per step) and the model's output at those
positions into probabilities. Each shape names its models and exact formats.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from stepforge.labelers.verdict_text import Template, filled
from stepforge.schemas.protocols import Message
from stepforge.schemas.record import Record

if TYPE_CHECKING:
    from stepforge.pipelines.engines.tokenization import ModelTokenizer

Output = Literal["classes", "tokens", "value"]
"""The network's output at a position: class logits, logits of all tokens, or one number."""
SPELLED_OUT = "the text contains the model's step token"


class Reading(NamedTuple):
    """Token ids to give to the model, and the positions in them to read."""

    ids: tuple[int, ...]
    at: tuple[int, ...]


def joined(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading in place of many that are prefixes of the last, so a causal model reads it once."""
    *others, last = readings
    if all(last.ids[: len(r.ids)] == r.ids for r in others):
        return [Reading(last.ids, tuple(place for r in readings for place in r.at))]
    return list(readings)


class ScorerSettings(Record, ABC):
    """Settings of all shapes: the model and where it runs."""

    output: ClassVar[Output] = "tokens"
    """What the network gives."""
    model: str
    """A folder or a hub name."""
    revision: str | None = None
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_len: int | None = Field(default=None, ge=8)
    """Longest input in tokens; a longer solution is not scored. By default the model's own limit."""
    tokens_per_batch: int = Field(default=4096, ge=1)
    """Tokens of a problem's solutions that are computed together, padding included."""
    threads: int | None = Field(default=1, ge=1)
    """CPU threads of the model; None leaves it to torch."""

    @abstractmethod
    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Return the readings, positions in the order of the steps. Raises ValueError: the solution cannot be read."""

    def probabilities(self, tokenizer: "ModelTokenizer", outputs: Any, reading: Reading) -> list[float]:
        """Return a probability for each position to read; ``outputs`` is a tensor of shape (tokens, outputs)."""
        read = outputs[list(reading.at)].float()
        if self.output == "value":
            shares = read[:, 0].sigmoid()
        elif self.output == "classes":
            shares = read.softmax(-1)[:, self.class_of_right]
        else:
            shares = read[:, self._columns(tokenizer)].softmax(-1)[:, 0]
        return [float(share) for share in shares.tolist()]

    @property
    def class_of_right(self) -> int:
        return 1

    @property
    def words(self) -> tuple[str, str]:
        """What a language model writes for right and for wrong; the first token of each is read."""
        return "+", "-"

    def _columns(self, tokenizer: "ModelTokenizer") -> list[int]:
        right, wrong = (tokenizer.encode_prompt(text, bos=False)[0] for text in self.words)
        if right == wrong:
            raise ValueError("the model's tokenizer cannot tell {!r} from {!r}".format(*self.words))
        return [right, wrong]


class TokenClassification(ScorerSettings):
    """Transformers' token classification as TRL (up to 1.13) and axolotl train it: read at the separator."""

    output = "classes"
    kind: Literal["token_classification"] = "token_classification"
    engine: Literal["transformers", "vllm"] = "transformers"
    separator: str = "\n"
    """Follows every step; its last token is read."""
    right_class: int = Field(default=1, ge=0)

    @property
    def class_of_right(self) -> int:
        return self.right_class

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Encode prompt, steps and separators separately, as both trainers do."""
        bos = tokenizer.bos_token
        ids = [*([] if bos is None else [bos]), *tokenizer.encode_prompt(question, bos=False)]
        separator, at = tokenizer.encode_prompt(self.separator, bos=False), []
        for step in steps:
            ids += [*tokenizer.encode_prompt(step, bos=False), *separator]
            at.append(len(ids) - 1)
        return [Reading(tuple(ids), tuple(at))]


class QwenPrm(ScorerSettings):
    """Qwen2.5-Math-PRM and Qwen2.5-Math-7B-PRM800K: a two-class head, read at ``<extra_0>`` after every step."""

    output = "classes"
    kind: Literal["qwen_prm"] = "qwen_prm"
    engine: Literal["transformers", "vllm"] = "transformers"
    system: str = "Please reason step by step, and put your final answer within \\boxed{}."
    step_token: str = "<extra_0>"  # noqa: S105

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Render the conversation with the model's own template."""
        turns = [Message(role="system", content=self.system), Message(role="user", content=question)]
        written = "".join(step + self.step_token for step in steps)
        text = tokenizer.chat([*turns, Message(role="assistant", content=written)], answer=False)
        return [_at_tokens(tokenizer.encode_prompt(text, bos=False), tokenizer.token(self.step_token), len(steps))]


class RlhFlow(ScorerSettings):
    """RLHFlow's Llama3.1-8B-PRM models: a step is a user's turn, the assistant's answer ``+`` or ``-``."""

    kind: Literal["rlhflow"] = "rlhflow"
    between: str = " "
    """Stands between the question and the first step; ProcessBench's own run has a blank line there."""

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Read where the assistant's answer to each step is about to be written, all steps before it answered ``+``."""
        turns: list[Message] = []
        found = []
        for number, step in enumerate(steps):
            turns.append(Message(role="user", content=step if number else f"{question}{self.between}{step}"))
            ids = tokenizer.encode_prompt(tokenizer.chat(turns), bos=False)
            found.append(Reading(ids, (len(ids) - 1,)))
            turns.append(Message(role="assistant", content="+"))
        return joined(found)


class MathShepherdPrm(ScorerSettings):
    """peiyi9979/math-shepherd-mistral-7b-prm: ``ки`` after every step, ``+`` against ``-`` read there."""

    kind: Literal["math_shepherd_prm"] = "math_shepherd_prm"
    step_token: str = "ки"  # noqa: S105
    numbered: bool = True
    """Whether steps are opened by ``Step 1:``, as this model's training data has them."""

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        opened = [f"Step {i}: {step}" if self.numbered else step for i, step in enumerate(steps, start=1)]
        text = f"{question} " + "\n".join(f"{step} {self.step_token}" for step in opened)
        token = tokenizer.encode_prompt(self.step_token, bos=False)[-1]
        return [_at_tokens(tokenizer.encode_prompt(text, bos=True), token, len(steps))]


class ValueHead(ScorerSettings):
    """Skywork-o1-Open-PRM: a value head on the body, read at the line break after every step."""

    output = "value"
    kind: Literal["value_head"] = "value_head"

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Encode line by line, as the model's own code does; a step of many lines is read at its last."""
        bos, line_break = tokenizer.bos_token, tokenizer.encode_prompt("\n", bos=False)[-1]
        ids = [*([] if bos is None else [bos]), *tokenizer.encode_prompt(f"{question}\n", bos=False)]
        at = []
        for step in steps:
            for line in step.split("\n"):
                ids += [*tokenizer.encode_prompt(line, bos=False), line_break]
            at.append(len(ids) - 1)
        return [Reading(tuple(ids), tuple(at))]


ASKED = (
    "Problem:\n{question}\n\nSolution so far:\n{steps}\n\n"
    "Is the last step of this solution right? Answer with one word, {right} or {wrong}."
)


class GenerativeJudge(ScorerSettings):
    """Any language model, asked about every step: the probability of the word for right against the one for wrong."""

    kind: Literal["generative"] = "generative"
    template: Template = ASKED
    """Holds ``{question}`` and ``{steps}``; ``{right}`` and ``{wrong}`` are replaced by the words."""
    right: str = "Yes"
    wrong: str = "No"
    chat: bool = True
    """Whether the question is sent through the model's chat template."""

    @property
    def words(self) -> tuple[str, str]:
        return self.right, self.wrong

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Ask about each step, with those before it."""
        found = []
        for count in range(1, len(steps) + 1):
            words = {"right": self.right, "wrong": self.wrong}
            text = filled(self.template, question=question, steps="\n".join(steps[:count]), **words)
            rendered = tokenizer.chat([Message(role="user", content=text)]) if self.chat else text
            ids = tokenizer.encode_prompt(rendered, bos=not self.chat)
            found.append(Reading(ids, (len(ids) - 1,)))
        return joined(found)


def _at_tokens(ids: tuple[int, ...], token: int, steps: int) -> Reading:
    at = tuple(place for place, one in enumerate(ids) if one == token)
    if len(at) != steps:
        raise ValueError(SPELLED_OUT)
    return Reading(ids, at)
