"""The ``rl_prompts`` export: questions with an answer that can be checked, and how often this policy got them right."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from pydantic import create_model

from stepforge.pipelines.exports.chat import TASK_NAME
from stepforge.pipelines.exports.contract import Export, Turn, json_lines
from stepforge.pipelines.exports.taskset import package
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.problem import Problem
from stepforge.schemas.record import Record
from stepforge.schemas.seeds import seed_of

Layout = Literal["trl", "verl", "openrlhf", "ms_swift", "nemo_rl", "nemo_gym", "verifiers"]


class RLPromptRow(Record):
    """Facts about a problem, for a curriculum; the layout's columns come first."""

    answer_kind: str
    """How the answer is compared: ``integer``, ``rational``, ``expression``, ``math``, ``choice``, ``text`` or
    ``plan``."""
    verifier: str | None
    """The verifier if no answer is compared (tests, a program), as JSON; it also takes the answer's place."""
    solved: int
    """Of the policy's solutions, those with a right answer."""
    n: int
    """The policy's solutions whose outcome is known."""
    band: str
    """``never``, ``hard`` (up to 1 in 4), ``medium`` (under 3 in 4), ``easy`` or ``always``; ``unknown`` for n = 0."""
    domain: str
    difficulty: int | None
    problem_id: str


class Boxed(Record):
    """verl's ``reward_model``."""

    style: str
    ground_truth: str


class ExtraInfo(Record):
    """verl's ``extra_info``: handed to the reward function."""

    index: int
    problem_id: str
    answer_kind: str


class ResponsesParams(Record):
    """NeMo Gym's ``responses_create_params``."""

    input: tuple[Turn, ...]


_LAYOUTS: Mapping[Layout, Mapping[str, str]] = {
    "trl": {"prompt": "turns", "solution": "boxed"},  # accuracy_reward skips what it cannot parse, and it parses LaTeX
    "verl": {
        "data_source": "data_source",
        "prompt": "turns",
        "ability": "domain",
        "reward_model": "reward_model",
        "extra_info": "extra_info",
    },
    "openrlhf": {"input": "turns", "label": "answer", "datasource": "source"},
    "ms_swift": {"messages": "turns", "solution": "boxed"},
    "nemo_rl": {"problem": "question", "expected_answer": "answer", "task_name": "task_name"},
    "nemo_gym": {"responses_create_params": "responses", "question": "question", "expected_answer": "answer"},
    "verifiers": {"prompt": "user", "answer": "answer"},
}
"""Column -> what it holds, in the words of ``RLPrompts._contents``."""
_KINDS: Mapping[str, object] = {
    "turns": tuple[Turn, ...],
    "reward_model": Boxed,
    "extra_info": ExtraInfo,
    "responses": ResponsesParams,
}
"""The types of contents that are not texts."""


class RLPrompts(Export):
    """Each problem with an answer or a verifier, once. No chat template is included."""

    kind: Literal["rl_prompts"] = "rl_prompts"
    row = RLPromptRow
    layout: Layout = "trl"
    """The consumer whose columns the rows have. ``nemo_gym`` also writes JSON lines; ``verifiers`` a package with our
    grader."""
    user: str = "{question}\n\nPut your final answer within \\boxed{}."
    """The user turn's text; ``{question}`` is replaced by the question."""
    data_source: str = "math_dapo"
    """verl's reward function by its name there; verl raises an error for an unknown name."""

    @property
    def row_class(self) -> type[Record]:
        return _row(self.layout)

    def lines_beside(self, file: str) -> str | None:
        return json_lines(file) if self.layout == "nemo_gym" else None

    @property
    def package(self) -> Mapping[str, str]:
        return package(self.name) if self.layout == "verifiers" else {}

    def rows(self, problem: LabeledProblem) -> Iterator[Record]:
        of = problem.problem
        written = None if of.verifier is None else of.verifier.model_dump_json()
        answer = of.answer if written is None else written
        if answer is None or not problem.solutions:
            return
        outcomes = [s.rollout.outcome for s in problem.solutions if s.rollout.tokens]
        solved, n = outcomes.count("correct"), len(outcomes) - outcomes.count("undetermined")
        contents = self._contents(of, answer)
        facts = RLPromptRow(
            answer_kind=of.answer_kind,
            verifier=written,
            solved=solved,
            n=n,
            band=band(solved / n) if n else "unknown",
            domain=of.domain,
            difficulty=of.difficulty,
            problem_id=of.id,
        )
        own = {column: contents[what] for column, what in _LAYOUTS[self.layout].items()}
        yield self.row_class.model_validate({**own, **dict(facts)})

    def _contents(self, problem: Problem, answer: str) -> Mapping[str, object]:
        question = problem.question.strip()
        user = self.user.replace("{question}", question)
        turns = [{"role": "user", "content": user}]
        index = seed_of("rl_prompts", problem.id) >> 31
        return {
            "question": question,
            "user": user,
            "turns": turns,
            "responses": {"input": turns},
            "answer": answer,
            "boxed": f"\\boxed{{{answer}}}",
            "reward_model": {"style": "rule", "ground_truth": answer},
            "extra_info": {"index": index, "problem_id": problem.id, "answer_kind": problem.answer_kind},
            "data_source": self.data_source,
            "domain": problem.domain,
            "source": problem.source,
            "task_name": TASK_NAME,
        }


def band(pass_rate: float) -> str:
    if pass_rate in (0, 1):
        return "always" if pass_rate else "never"
    if pass_rate <= 0.25:
        return "hard"
    return "medium" if pass_rate < 0.75 else "easy"


@cache
def _row(layout: Layout) -> type[Record]:
    own = {column: _KINDS.get(what, str) for column, what in _LAYOUTS[layout].items()}
    known = {name: field.annotation for name, field in RLPromptRow.model_fields.items()}
    columns = {name: (kind, ...) for name, kind in {**own, **known}.items()}
    made: type[Record] = create_model(f"RLPrompt_{layout}", __base__=Record, **columns)  # type: ignore[call-overload]
    return made
