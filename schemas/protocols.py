"""What a part may use: an engine, a scorer, a policy, a grader. All asynchronous; other callers are invisible."""

from collections.abc import Sequence
from typing import Literal, Protocol

from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.rollout import Finish, Outcome, PolicyIdentity, Rollout, Step


class Message(Record):
    """One chat turn."""

    role: str
    content: str


class Prompt(Record):
    """What an engine continues from."""

    text: str
    token_ids: tuple[int, ...] = ()
    """The same as tokens; if given, the engine continues from exactly these and never re-encodes the text."""
    turns: tuple[Message, ...] = ()
    """The same as a conversation, for engines that render it themselves; a final assistant turn is to be continued."""
    session: str = ""
    """A key shared by one problem's requests, so a router can send them where their prefix is cached."""


Cause = Literal["request", "server", "away"]
"""Why a request failed: its own fault (refused, too long), a server that answers others, or no answer at all."""


class Completion(Record):
    """One continuation of a prompt."""

    text: str
    token_ids: tuple[int, ...] = ()
    """Generated tokens without the end-of-text token; empty if the engine does not report them."""
    token_ends: tuple[int, ...] = ()
    """For each token, the length in characters of the text up to its end; same length as ``token_ids``."""
    finish: Finish
    tokens: int
    """Generated tokens as the engine counts them, the end-of-text token included."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    mean_logprob: float | None = None
    """Mean log-probability of the generated tokens, in nats, where the engine gives it."""
    logprobs: tuple[float, ...] = ()
    """Log-probability of each of ``token_ids``, in nats; empty where the engine does not report."""
    error: str | None = None
    """What went wrong, when ``finish`` is ``error``."""
    cause: Cause = "request"
    """The kind of failure."""

    @classmethod
    def failed(cls, message: str, cause: Cause = "request") -> "Completion":
        return cls(text="", finish="error", tokens=0, error=message, cause=cause)


class EngineIdentity(Record):
    """Which model an engine serves."""

    model: str
    digest: str
    engine: str
    version: str


class Sampling(Record):
    """How tokens are drawn."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    """Longest continuation, in tokens."""
    stop: tuple[str, ...] = ()
    """Texts that end a continuation; they are kept out of its text."""
    scored: int = 0
    """If positive nothing is sampled: the answer is so many last tokens of the prompt, with their log-probabilities."""


class EngineDead(RuntimeError):
    """The engine will not answer again: the worker must end and be restarted."""


class Engine(Protocol):
    """Tokens in, tokens out; batches internally."""

    @property
    def identity(self) -> EngineIdentity: ...

    @property
    def special_tokens(self) -> frozenset[str]:
        """Texts that ``encode`` reads as control tokens (the end of a turn or of a text); empty where it has none."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        """Return one continuation, sampled with this seed.

        A failed or timed-out request is a completion with ``finish="error"``. Cancelling the awaiting task aborts
        the request.

        Raises:
            EngineDead: the engine is gone.
        """

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text that continues from another; empty where the engine has no tokenizer."""

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        """Return the tokens of a text that a prompt begins with.

        ``bos``: with the token that the tokenizer puts first, if it has one and the text does not begin with it; a
        chat template writes its own.
        """

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """Return, for each token, the length in characters of the decoded text up to its end."""

    def chat(self, messages: Sequence[Message]) -> str:
        """Render messages with the model's chat template, ready for the assistant's turn.

        Raises:
            ValueError: the model has no chat template.
        """

    async def close(self) -> None:
        """Release the engine's resources; nothing outlives this call."""


class StepScores(Record):
    """A reward model's scores for one solution."""

    scores: tuple[float, ...]
    """For each step the probability that it is right, from 0 to 1; empty where it could not be scored."""
    tokens: int = 0
    """Tokens that the model read."""
    error: str | None = None
    """Why it could not be scored: never a low score."""


class Scorer(Protocol):
    """A process reward model: solution steps in, one probability for each step out."""

    @property
    def identity(self) -> EngineIdentity: ...

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        """Return the scores of each solution's steps; equal calls give equal scores.

        Raises:
            EngineDead: the model is gone.
        """

    async def close(self) -> None: ...


class Policy(Protocol):
    """A solver that can continue from any prefix."""

    @property
    def identity(self) -> PolicyIdentity:
        """Which policy, and how it is sampled."""

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return ``n`` rollouts continuing from ``prefix``, not yet graded (``undetermined``), without a start.

        Their ids are unique for a problem, prefix, seed and position.
        """

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
        """Return ``text`` with the log-probability of each of its tokens, where it follows the prefix and ``lead``.

        Failed where the engine cannot compute it.
        """

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Return ``n`` answers of the run's judge (by default the policy's own model) to another kind of prompt.

        ``chat`` sends the text as a user turn through the model's chat template.
        """


class Grader(Protocol):
    """Compares answers with a problem's reference."""

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        """Return an outcome for each answer; without a reference, or past a limit, ``undetermined``."""
