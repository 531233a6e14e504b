"""A policy and a grader with known truth, at the two ports that labelers have."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random

from stepforge.pipelines.engines.text_engine import TextEngine
from stepforge.pipelines.grading.grader import PooledGrader
from stepforge.pipelines.storage.shards import write_shard
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, EngineIdentity, Message, Prompt, Sampling, StepScores
from stepforge.schemas.rollout import Outcome, PolicyIdentity, Rollout, SolvedProblem, Step

IDENTITY = PolicyIdentity(
    model="fake",
    digest="",
    engine="fake",
    engine_version="1",
    temperature=1.0,
    top_p=1.0,
    max_tokens=100,
    prompt="{question}\n",
)


def a_problem(name: str = "p", answer: str | None = "1") -> Problem:
    return Problem(
        id=name, source="test", domain="test", question=f"Q {name}?", answer=answer, answer_kind="integer", group=name
    )


def a_solution(name: str, letters: str, outcome: Outcome) -> Rollout:
    return Rollout(
        id=name,
        start=None,
        steps=tuple(Step(text=f"{letter}\n") for letter in letters),
        answer="1" if outcome == "correct" else "0",
        outcome=outcome,
        finish="stop" if outcome != "undetermined" else "length",
        tokens=len(letters),
    )


def solved(*solutions: Rollout, problem: Problem | None = None) -> SolvedProblem:
    return SolvedProblem(problem=problem or a_problem(), rollouts=solutions, policy=IDENTITY)


def verdict_of(labeler: str, error: int | None = None, *, abstained: bool = False) -> Verdict:
    return Verdict(labeler=labeler, first_error=error, abstained=abstained, reason="so" if abstained else None)


class KnownPolicy:
    """Continues from a prefix rightly with the probability that ``value`` gives; counts what it is asked."""

    def __init__(
        self, value: Callable[[str], float], *, truncated: Callable[[str], bool] = lambda prefix: False
    ) -> None:
        self.value = value
        self.truncated = truncated
        self.asked: Counter[str] = Counter()

    @property
    def identity(self) -> PolicyIdentity:
        return IDENTITY

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        text = "".join(step.text for step in prefix)
        self.asked[text] += n
        rng = Random(seed)
        return [self._rollout(text, f"{seed}-{i}", rng.random() < self.value(text)) for i in range(n)]

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
        raise NotImplementedError

    def _rollout(self, prefix: str, name: str, right: bool) -> Rollout:
        cut = self.truncated(prefix)
        return Rollout(
            id=name,
            start=None,
            steps=(Step(text="x\n" if right else f"y{name}\n"), Step(text="end")),
            answer=None if cut else "1" if right else "0",
            outcome="undetermined",
            finish="length" if cut else "stop",
            tokens=5,
        )


class EqualGrader:
    """Text equality with the reference."""

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[Outcome]:
        return ["correct" if answer == problem.answer else "wrong" for answer in answers]


class KnownScorer:
    """A reward model that gives each step what a function says of its text."""

    identity = EngineIdentity(model="known", digest="", engine="test", version="")

    def __init__(self, of_step: Callable[[str], float]) -> None:
        self.of_step = of_step

    async def score(self, question: str, solutions: Sequence[Sequence[str]]) -> list[StepScores]:
        return [StepScores(scores=tuple(map(self.of_step, steps))) for steps in solutions]

    async def close(self) -> None:
        return None


class NamedEngine(TextEngine):
    """An engine that writes nothing by itself and has no tokens."""

    def __init__(self, name: str = "test") -> None:
        super().__init__(EngineIdentity(model=name, digest="", engine="test", version="1"))


class CharacterEngine(NamedEngine):
    """The same, and a character is a token."""

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return self.encode(text)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(range(1, len(token_ids) + 1))


class Writer(CharacterEngine):
    """Goes on along one text as far as a stop text; a token is ``width`` characters, its log-probability -1."""

    def __init__(self, text: str, width: int = 1) -> None:
        super().__init__("writer")
        self.text, self.width = text, width
        self.asked: list[Prompt] = []
        self.limits: list[int] = []

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self.asked.append(prompt)
        self.limits.append(sampling.max_tokens)
        rest = self.text[len(prompt.text.partition("\n")[2]) :]
        stops = [rest.find(stop) for stop in sampling.stop if stop in rest]
        ids = self.encode(rest[: min(stops)] if stops else rest)[: sampling.max_tokens]
        ends = self.token_ends(ids)
        return Completion(
            text=rest[: ends[-1] if ends else 0],
            token_ids=ids,
            token_ends=ends,
            finish="stop" if len(ids) < sampling.max_tokens else "length",
            tokens=len(ids) + (2 if stops else 1),
            mean_logprob=-1.0,
            logprobs=(-1.0,) * len(ids),
        )

    def encode(self, text: str) -> tuple[int, ...]:
        pieces = (text[i : i + self.width] for i in range(0, len(text), self.width))
        return tuple(int.from_bytes(piece.encode(), "big") for piece in pieces)

    def token_ends(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(accumulate(len(i.to_bytes(4 * self.width, "big").lstrip(b"\0").decode()) for i in token_ids))

    def chat(self, messages: Sequence[Message]) -> str:
        return "".join(f"<{m.role}>{m.content}" for m in messages) + "<assistant>"


def shards_of(folder: Path, questions: list[list[str]]) -> list[Path]:
    """Write a shard for each list; a problem is called by its shard and place."""
    paths = []
    for number, asked in enumerate(questions):
        path = folder / f"part-{number:05d}.parquet"
        rows = [a_problem(f"{number}-{i}").model_copy(update={"question": q}) for i, q in enumerate(asked)]
        write_shard(path, rows, Problem, {})
        paths.append(path)
    return paths


def outcomes(problem: Problem, *answers: str | None) -> list[Outcome]:
    async def ask() -> list[Outcome]:
        async with PooledGrader() as grader:
            return await grader.grade(problem, answers)

    return asyncio.run(ask())
