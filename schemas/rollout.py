"""Solutions as the policy wrote them: steps, tokens, and one of three outcomes."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record

Outcome = Literal["correct", "wrong", "undetermined"]
"""``undetermined`` is a timeout, a crash, a truncated or unreadable completion: never evidence against a step."""

Finish = Literal["stop", "length", "error"]
"""``stop``: the policy ended by itself; ``length``: truncated; ``error``: the engine failed."""

Author = Literal["policy", "tool"]


class Step(Record):
    """A piece of a solution; the texts of all steps, joined with nothing between, are the solution's text."""

    text: str
    token_ids: tuple[int, ...] = ()
    """Exactly the tokens the policy wrote; empty where the engine does not know them."""
    logprob: float | None = None
    """Log-probability of the step given all before it (the sum over its tokens), in nats, where the engine reports."""
    lowest_logprob: float | None = None
    """Log-probability of its least expected token, in nats."""
    author: Author = "policy"
    """``tool``: a tool's answer. The policy did not write it, so it has no tokens, no log-probability and no label, and
    is never trained on."""
    token_logprobs: tuple[float, ...] = ()
    """Log-probability of each of ``token_ids``, in nats; empty where the engine does not report."""


class Start(Record):
    """Where a rollout starts: the first ``steps`` steps of the rollout called ``rollout``."""

    rollout: str
    steps: int


SUPPLIED = "supplied"
"""The model name of supplied solutions."""


class PeopleLabel(Record):
    """What people found in a supplied solution: truth for audits, never read by a labeler."""

    first_error: int | None = None
    """0-based index of the first wrong step; None if there is none."""
    ratings: tuple[int | None, ...] = ()
    """Per step -1 (wrong), 0 (neutral) or 1 (right), None if not rated (PRM800K, arXiv 2305.20050)."""
    error_start: int | None = None
    """First wrong character of the text, if people marked characters instead of steps."""


class Repair(Record):
    """What the policy wrote after learning why its solution was wrong."""

    message: str
    """The verifier's message about the solution."""
    prompt: str
    """What the policy was given, with its first solution and the message."""
    text: str
    outcome: Outcome
    finish: Finish
    tokens: int
    """Generated tokens, with the end-of-text token."""
    prompt_tokens: int = 0
    cached_tokens: int = 0


class Rollout(Record):
    """One sampled solution or completion."""

    id: str
    start: Start | None
    """None if sampled from the bare question."""
    steps: tuple[Step, ...]
    """The steps this rollout itself wrote, without those of its prefix."""
    answer: str | None
    outcome: Outcome
    finish: Finish
    tokens: int
    """Tokens that the policy generated, with the end-of-text token."""
    prompt_tokens: int = 0
    """Tokens of question and prefix sent to the engine."""
    cached_tokens: int = 0
    """Those of the prompt tokens that came from the engine's prefix cache."""
    mean_logprob: float | None = None
    """Mean log-probability of the generated tokens, in nats, where the engine gives it."""
    people: PeopleLabel | None = None
    repair: Repair | None = None
    """The policy's second turn, if ``policy.repair`` is set."""
    scores: tuple[float, ...] = ()
    """For each step the probability that it is right, by the run's ``scorer``; empty if nothing was scored."""

    @model_validator(mode="after")
    def _steps_have_texts(self) -> Self:
        if not all(step.text for step in self.steps):
            raise ValueError(f"a step of {self.id} has no text")  # whoever follows prefixes would never get past it
        return self

    @property
    def text(self) -> str:
        """The text this rollout itself wrote."""
        return "".join(step.text for step in self.steps)

    @property
    def truncated(self) -> bool:
        return self.finish == "length"


class PolicyIdentity(Record):
    """Which policy wrote the rollouts, and how it was sampled."""

    model: str
    digest: str
    """Revision or digest of the weights; empty where a server does not report."""
    engine: str
    engine_version: str
    temperature: float
    top_p: float
    max_tokens: int
    prompt: str
    """The prompt template as sent to the model, rendered by its chat template if there is one."""


class SolvedProblem(Record):
    """A problem and the solutions sampled for it (or supplied with it)."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
    policy: PolicyIdentity
    own: tuple[Rollout, ...] = ()
    """The policy's own solutions of a problem with supplied ones, if its pass rate was needed."""
    searched: tuple[Rollout, ...] = ()
    """Whole solutions that a search found in addition to the kept ones."""
    searched_tokens: int = 0
    """Tokens that a search generated in addition to the kept solutions."""

    @property
    def supplied(self) -> bool:
        """Whether the solutions were supplied: the policy wrote none of them."""
        return self.policy.model == SUPPLIED

    @property
    def pass_rate(self) -> float | None:
        """Share of correct ones among the policy's own rollouts with a determined outcome; None if there are none."""
        return pass_rate(self.own if self.supplied else self.rollouts)


def pass_rate(rollouts: Sequence[Rollout]) -> float | None:
    """Return the share of correct ones among rollouts with a determined outcome; None if there are none."""
    outcomes = [r.outcome for r in rollouts if r.outcome != "undetermined"]
    return outcomes.count("correct") / len(outcomes) if outcomes else None
