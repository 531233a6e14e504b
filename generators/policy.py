"""A policy: a language model behind an engine, a prompt, and a way to cut its text into steps.

Continuing from a prefix gives the engine exactly the tokens that the policy wrote before, never re-encoded text.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from itertools import accumulate

from pydantic import TypeAdapter

from stepforge.generators.policy_settings import PolicySettings as PolicySettings
from stepforge.generators.tool_calls import Written, with_ending, write_with_calls
from stepforge.grading.calls import CLOSE
from stepforge.grading.final_answer import answer_in_words, extract_answer, stated_answer, stated_line
from stepforge.grading.programs import program_in
from stepforge.schemas.control_tokens import SpecialToken as SpecialToken
from stepforge.schemas.control_tokens import check_plain
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Completion, Engine, Message, Prompt, Sampling
from stepforge.schemas.rollout import PolicyIdentity, Rollout, Step
from stepforge.schemas.seeds import seed_of
from stepforge.schemas.verifier import UnitTests

_STEPS = TypeAdapter(tuple[Step, ...])
"""Makes and checks all steps of a rollout in one call: there are more of them than of anything else."""


LINE_END = "\n"


class NotSampled(RuntimeError):
    """No solution of a problem could be sampled; the engine's reason."""


class EngineFailed(NotSampled):
    """The same, for a reason outside the question: worth a retry."""


def engine_failure(failed: Sequence[Completion]) -> NotSampled:
    """Return the engine's reason for requests that failed; one outside the question comes first."""
    own = next((completion for completion in failed if completion.cause != "request"), None)
    told = own or next(iter(failed), None)
    reason = (told.error if told is not None else None) or "the engine does not say why"
    return NotSampled(reason) if failed and own is None else EngineFailed(reason)


async def complete_each(engine: Engine, prompt: Prompt, *, n: int, seed: int, sampling: Sampling) -> list[Completion]:
    """Return ``n`` independent continuations of a prompt; number i is seeded by ``seed_of(seed, i)``."""
    asked = (engine.complete(prompt, seed=seed_of(seed, i), sampling=sampling) for i in range(n))
    return [await next(asked)] if n == 1 else await asyncio.gather(*asked)  # one needs no separate task


class PromptedPolicy:
    """Implements ``schemas.protocols.Policy`` on any engine."""

    def __init__(
        self,
        engine: Engine,
        settings: PolicySettings,
        judge: Engine | None = None,
        python: Callable[[str], Awaitable[str | None]] | None = None,
        *,
        name: str = "",
        own_tokens: bool = True,
    ) -> None:
        """``python`` runs a program in isolation, and returns what it came to, or None where that is not known.
        ``name`` follows the model's. Without ``own_tokens`` the steps of a prefix are another model's, so that their
        text is encoded again."""
        self.engine = engine
        self.python = python
        self._name, self._own_tokens = name, own_tokens
        self._judge = judge or engine
        self.settings = settings
        self._encode_question = lru_cache(maxsize=1024)(partial(engine.encode_prompt, bos=not settings.chat))
        """A question is asked many times; its tokens are computed once."""
        self.sampling = Sampling(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            stop=(*settings.stop, CLOSE) if settings.tool else settings.stop,
        )

    @cached_property
    def identity(self) -> PolicyIdentity:
        """Which policy, and how it is sampled; the prompt as the model is given it, chat template and all."""
        served = self.engine.identity
        return PolicyIdentity(
            model=f"{served.model}, {self._name}" if self._name else served.model,
            digest=served.digest,
            engine=served.engine,
            engine_version=served.version,
            temperature=self.settings.temperature,
            top_p=self.settings.top_p,
            max_tokens=self.settings.max_tokens,
            prompt=self._asked("{question}"),
        )

    @cached_property
    def _special_tokens(self) -> frozenset[str]:
        return self.engine.special_tokens | self._judge.special_tokens

    def check(self) -> None:
        """Render a prompt once.

        Raises:
            ValueError: the engine's model has no chat template.
        """
        self._asked("")

    async def sample(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        return self._rollouts(problem, prefix, seed, await self._write(problem, prefix, n, seed))

    async def likelihood(self, problem: Problem, prefix: Sequence[Step], lead: str, text: str) -> Completion:
        """Return ``text`` with the log-probability of each of its tokens, where it follows the prefix and ``lead``.

        Failed where the engine returns anything else, as one that does not know ``Sampling.scored`` does.
        """
        prompt, ids = self.prompt(problem, prefix), self.engine.encode(text)
        if not ids:
            return Completion.failed("the engine has no tokenizer, so it cannot tell how likely a given text is")
        known = (*prompt.token_ids, *self.engine.encode(lead), *ids)
        asked = prompt.model_copy(update={"text": prompt.text + lead + text, "token_ids": known})
        read = await self.engine.complete(asked, seed=0, sampling=Sampling(max_tokens=1, scored=len(ids)))
        if read.finish != "error" and (read.token_ids != ids or len(read.logprobs) != len(ids)):
            return Completion.failed("the engine does not say how likely a given text is")
        return read

    async def next_steps(self, problem: Problem, prefix: Sequence[Step], *, n: int, seed: int) -> list[Rollout]:
        """Return ``n`` ungraded rollouts of one line each, for search; one that states an answer has ended.

        An engine does not report whether the line's end or the text's end stopped it, so the answer decides.
        """
        sampling = self.sampling.model_copy(update={"stop": (*self.sampling.stop, LINE_END)})
        prompt = self.prompt(problem, prefix)
        before = "".join(step.text for step in prefix)
        sampled = await complete_each(self.engine, prompt, n=n, seed=seed, sampling=sampling)
        ended = [c.finish != "stop" or self.answer(problem, before + c.text) is not None for c in sampled]
        lines = [c if end else self._with_line_end(c) for c, end in zip(sampled, ended, strict=True)]
        written = [(self.cut(c.text, c.token_ids, c.token_ends, c.logprobs), c) for c in lines]
        return self._rollouts(problem, prefix, seed, written)

    def _with_line_end(self, completion: Completion) -> Completion:
        """Restore a line's end, which the engine omits."""
        whole = with_ending(self.engine, completion, LINE_END)
        certain = (0.0,) * (len(whole.token_ids) - len(completion.token_ids))
        return whole.model_copy(update={"logprobs": (*completion.logprobs, *certain)} if completion.logprobs else {})

    async def solve(self, problem: Problem, *, n: int, seed: int) -> list[Rollout]:
        """Return ``n`` ungraded solutions.

        Raises:
            SpecialToken: the question holds one.
            NotSampled: the engine failed on all of them, for example on a question longer than its context.
            EngineFailed: it did so for an outside reason.
        """
        self.check_plain(problem.question)
        written = await self._write(problem, (), n, seed)
        completions = [completion for _, completion in written]
        if all(completion.finish == "error" for completion in completions):
            raise engine_failure(completions)
        return self._rollouts(problem, (), seed, written)

    def check_plain(self, text: str) -> None:
        if self._special_tokens:
            check_plain(text, self._special_tokens)

    async def ask(self, text: str, *, n: int, seed: int, sampling: Sampling, chat: bool = False) -> list[Completion]:
        """Return ``n`` answers of the judge's engine, which is the policy's own unless another was given.

        Raises:
            SpecialToken: the text is a user's turn and holds one.
        """
        if chat and self._judge.special_tokens:
            check_plain(text, self._judge.special_tokens)
        turns = (Message(role="user", content=text),) if chat else ()
        asked = self._judge.chat(turns) if chat else text
        prompt = Prompt(text=asked, token_ids=self._judge.encode_prompt(asked, bos=not chat), turns=turns)
        return await complete_each(self._judge, prompt, n=n, seed=seed, sampling=sampling)

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the part of a whole solution's text that is graded: its final answer, its program, or all of it.

        None where it holds none.
        """
        if isinstance(problem.verifier, UnitTests):
            return program_in(text, problem.verifier.entry_point)
        if problem.verifier is not None:
            return text
        if problem.answer_kind == "plan":
            return stated_line(text)
        stated = self.settings.answer == "stated"
        if problem.answer_kind == "text":
            return answer_in_words(text, problem.answer, stated=stated)
        return stated_answer(text) if stated else extract_answer(text)

    def adopt(self, text: str) -> tuple[Step, ...]:
        """Cut a text written elsewhere into steps, with this policy's tokens."""
        ids = self.engine.encode(text)
        return self.cut(text, ids, self.engine.token_ends(ids) if ids else ())

    def whole(self, text: str) -> Step:
        """Return a text written elsewhere as one step, with this policy's tokens."""
        return Step(text=text, token_ids=self.engine.encode(text))

    def cut(
        self, text: str, token_ids: Sequence[int], token_ends: Sequence[int], logprobs: Sequence[float] = ()
    ) -> tuple[Step, ...]:
        """Cut a text into steps; a boundary inside a token moves to that token's end."""
        pieces = self.settings.segmenter(text)
        if not token_ids:
            return _STEPS.validate_python([{"text": piece} for piece in pieces])
        steps: list[dict[str, object]] = []
        first_token = start = 0
        for position in accumulate(map(len, pieces)):
            last = position == len(text)
            token = len(token_ids) if last else min(bisect_left(token_ends, position) + 1, len(token_ids))
            end = len(text) if last else token_ends[token - 1]
            if end > start:
                chances = logprobs[first_token:token]
                steps.append(
                    {
                        "text": text[start:end],
                        "token_ids": tuple(token_ids[first_token:token]),
                        "logprob": sum(chances) if chances else None,
                        "lowest_logprob": min(chances) if chances else None,
                        "token_logprobs": tuple(chances) if len(chances) == token - first_token else (),
                    }
                )
                first_token, start = token, end
        return _STEPS.validate_python(steps)

    async def _write(self, problem: Problem, prefix: Sequence[Step], n: int, seed: int) -> list[Written]:
        if self.settings.tool:
            seeds = [seed_of(seed, i) for i in range(n)]
            return await asyncio.gather(*(write_with_calls(self, problem, prefix, seed=own) for own in seeds))
        prompt = self.prompt(problem, prefix)
        completions = await complete_each(self.engine, prompt, n=n, seed=seed, sampling=self.sampling)
        return [(self.cut(c.text, c.token_ids, c.token_ends, c.logprobs), c) for c in completions]

    def _rollouts(
        self, problem: Problem, prefix: Sequence[Step], seed: int, written: Sequence[Written]
    ) -> list[Rollout]:
        before = "".join(step.text for step in prefix)
        stem = blake2b(f"{problem.id}\0{seed}\0{before}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return [
            Rollout(
                id=f"{stem}-{i}",
                start=None,
                steps=steps,
                answer=self.answer(problem, before + completion.text) if completion.finish == "stop" else None,
                outcome="undetermined",
                finish=completion.finish,
                tokens=completion.tokens,
                prompt_tokens=completion.prompt_tokens,
                cached_tokens=completion.cached_tokens,
                mean_logprob=completion.mean_logprob,
            )
            for i, (steps, completion) in enumerate(written)
        ]

    def prompt(self, problem: Problem, prefix: Sequence[Step]) -> Prompt:
        """Return the engine's input: the prompted question, and the steps so far."""
        question = problem.question.strip()  # as exports write it: many chat templates trim a turn
        asked, before = self._asked(question), "".join(step.text for step in prefix)
        ids = list(self._encode_question(asked))
        if ids and not self._own_tokens:
            ids.extend(self.engine.encode(before) if before else ())
        elif ids:
            for step in prefix:
                ids.extend(step.token_ids or self.engine.encode(step.text))
        written = [Message(role="assistant", content=before)] if before else []
        return Prompt(
            text=asked + before,
            token_ids=tuple(ids),
            turns=(*self.turns(question), *written) if self.settings.chat else (),
            session=blake2b(problem.id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest(),
        )

    def _asked(self, question: str) -> str:
        turns = self.turns(question)
        return self.engine.chat(turns) if self.settings.chat else turns[-1].content

    def turns(self, question: str) -> list[Message]:
        asked = Message(role="user", content=self.settings.prompt.replace("{question}", question))
        system = self.settings.system
        return [asked] if system is None else [Message(role="system", content=system), asked]
