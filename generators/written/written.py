"""Problems that a model writes from seed problems (MetaMath, arXiv 2309.12284; Evol-Instruct, 2304.12244).

A problem is kept only if its answer is settled: independent solutions of the run's policy agree on it, and agree with
the answer that is expected (a rephrased problem has its seed's answer, a backward one the hidden number) or with the
formula that the writer gave. A problem is in the group of its seed, and so in the same split.
"""

from random import Random
from typing import Literal

from pydantic import Field, field_validator

from stepforge.generators.policy import EngineFailed, NotSampled, PromptedPolicy
from stepforge.generators.problem_sets import SourceItem
from stepforge.generators.written import prompts
from stepforge.generators.written.prompts import Reply, Way
from stepforge.generators.written.source import Attempt, ModelSource, Refused, Seeds, agreed, check_answered
from stepforge.grading.stated import fraction, plain
from stepforge.grading.verdict import decide
from stepforge.schemas.labeled import Cost
from stepforge.schemas.problem import Lineage, Problem
from stepforge.schemas.protocols import Grader, Sampling
from stepforge.schemas.seeds import rng_of, seed_of


class Written(ModelSource):
    """Asks the run's ``judge`` engine where there is one, else the policy's own model, to write; the policy solves."""

    kind: Literal["written"] = "written"
    name: str = "written"
    ways: dict[Way, float] = Field(
        default={"rephrase": 1.0, "numbers": 1.0, "backward": 1.0, "harder": 1.0}, min_length=1
    )
    """Ways of making a problem, each with its share of the attempts: `rephrase`, `numbers` (others in the same story),
    `backward`, `harder`, `combine` (two seeds of one group), `persona`, `topic`."""
    personas: tuple[str, ...] = Field(default=prompts.PERSONAS, min_length=1)
    topics: tuple[str, ...] = Field(default=prompts.TOPICS, min_length=1)
    chat: bool = True
    """Whether the request is sent through the model's chat template."""
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_tokens: int = Field(default=512, ge=1, le=10_000_000)
    solutions: int = Field(default=8, ge=2)
    """Independent solutions that settle an answer."""
    min_agreement: float = Field(default=0.875, gt=0, le=1)
    """Least share of them that end at the answer. Those without an answer agree with nothing; those that state a false
    equation agree with the answer that they come to when calculated right."""

    @field_validator("ways")
    @classmethod
    def _shares(cls, ways: dict[Way, float]) -> dict[Way, float]:
        if any(share < 0 for share in ways.values()) or not sum(ways.values()):
            raise ValueError("a share is negative, or all are 0")
        return ways

    async def make(self, row: int, seeds: Seeds, policy: PromptedPolicy, grader: Grader, *, seed: int) -> Attempt:
        rng, parents = rng_of(seed, self.name, row), [seeds.seed.problem]
        (way,) = rng.choices(list(self.ways), list(self.ways.values()))
        if way == "combine":
            partner = seeds.partner()
            if partner is None:
                return Attempt(Refused("no second seed of its group to combine with"))
            parents.append(partner.problem)
        asked = self._request(way, parents, rng)
        if asked is None:
            return Attempt(Refused("no number in the seed to ask for"))
        prompt, expected = asked
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        replies = await policy.ask(prompt, n=1, seed=seed_of(seed, self.name, row), sampling=sampling, chat=self.chat)
        check_answered(replies)
        cost, text = Cost.of(replies), replies[0].text
        reply = prompts.read_reply(text) if replies[0].finish == "stop" else None
        fault = "not in the requested form" if reply is None else _fault(way, reply.question, parents, expected)
        if reply is None or fault:
            return Attempt(Refused(fault, text), cost)
        made, solving = await self._settled(row, way, reply, expected, parents, policy, seed)
        return Attempt(made, cost + solving)

    def _request(self, way: Way, parents: list[Problem], rng: Random) -> tuple[str, str | None] | None:
        """Return the writer's task, and the answer that the problem must then have; None if there is no such task."""
        seed = parents[0]
        task, expected = prompts.ASKED[way], seed.answer if way in prompts.KEEPS_ANSWER else None
        if way == "backward":
            hidden = sorted(number for number, count in prompts.numbers_in(seed.question).items() if count == 1)
            if not hidden or seed.answer is None:
                return None
            expected = rng.choice(hidden)
            task = task.format(answer=seed.answer, hidden=expected)
        task = task.replace("{persona}", rng.choice(self.personas)).replace("{topic}", rng.choice(self.topics))
        shown = "\n\n".join(f"The problem:\n{parent.question.strip()}" for parent in parents)
        return prompts.TEMPLATE.replace("{task}", task).replace("{seeds}", shown), expected

    async def _settled(
        self,
        row: int,
        way: Way,
        reply: Reply,
        expected: str | None,
        parents: list[Problem],
        policy: PromptedPolicy,
        seed: int,
    ) -> tuple[SourceItem | Refused, Cost]:
        first = parents[0]
        problem = Problem(
            id=f"{self.name}:{row:07d}",
            source=self.name,
            domain=first.domain,
            question=reply.question,
            answer=None,
            # a number asked for in place of another may be a fraction
            answer_kind="rational" if first.answer_kind == "integer" else first.answer_kind,
            group=first.group,
        )
        try:
            rollouts = await policy.solve(problem, n=self.solutions, seed=seed_of(seed, "settle", problem.id))
        except EngineFailed:
            raise
        except NotSampled as error:
            return Refused("could not be solved at all", str(error)), Cost()
        answer, share = agreed(rollouts, problem.answer_kind)
        cost, formula = Cost.of(rollouts), _value(reply.formula)
        if share < self.min_agreement - 1e-9:
            return Refused("its solutions do not agree", reply.question), cost
        known = expected if expected is not None else formula
        if known is not None and decide(known, answer, problem.answer_kind) != "correct":
            wrong = "expected answer" if expected is not None else "writer's formula"
            return Refused(f"its solutions contradict the {wrong}", reply.question), cost
        by = "agreement" if known is None else f"agreement, {'expected' if expected is not None else 'formula'}"
        ids = tuple(parent.id for parent in parents)
        lineage = Lineage(parents=ids, way=way, settled_by=by, agreement=share, solutions=len(rollouts))
        return SourceItem(problem=problem.model_copy(update={"answer": answer, "lineage": lineage})), cost


def _fault(way: Way, question: str, parents: list[Problem], expected: str | None) -> str:
    """Return the first fault of a question that needs no model to see; empty if there is none."""
    numbers, before = prompts.numbers_in(question), prompts.numbers_in(parents[0].question)
    if not prompts.asks(question):
        return "asks nothing"
    if way == "numbers" and numbers == before:
        return "keeps the numbers"
    if any(prompts.copies(question, parent.question) for parent in parents):
        return "copies its seed"
    if way in prompts.KEEPS_ANSWER and numbers != before:
        return "does not keep the numbers"
    return "states the number that it asks for" if way == "backward" and expected in numbers else ""


def _value(formula: str | None) -> str | None:
    """Return the value of a formula in numbers alone."""
    value = None if formula is None else fraction(plain(formula))
    return None if value is None else str(value)
