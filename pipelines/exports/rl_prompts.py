"""The ``rl_prompts`` export: questions with an answer that can be checked, and how often this policy got them right."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from pydantic import create_model

from stepforge.pipelines.exports.chat import TASK_NAME
from stepforge.pipelines.exports.contract import Export
from stepforge.pipelines.exports.rows import Turn, json_lines
from stepforge.pipelines.exports.taskset import package
from stepforge.schemas.labeled import LabeledProblem
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


_KINDS: Mapping[Layout, Mapping[str, object]] = {
    "trl": {"prompt": tuple[Turn, ...], "solution": str},
    "verl": {
        "data_source": str,
        "prompt": tuple[Turn, ...],
        "ability": str,
        "reward_model": Boxed,
        "extra_info": ExtraInfo,
    },
    "openrlhf": {"input": tuple[Turn, ...], "label": str, "datasource": str},
    "ms_swift": {"messages": tuple[Turn, ...], "solution": str},
    "nemo_rl": {"problem": str, "expected_answer": str, "task_name": str},
    "nemo_gym": {"responses_create_params": ResponsesParams, "question": str, "expected_answer": str},
    "verifiers": {"prompt": str, "answer": str},
}


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
        verifier = problem.problem.verifier
        written = None if verifier is None else verifier.model_dump_json()
        answer = problem.problem.answer if written is None else written
        if answer is None or not problem.solutions:
            return
        outcomes = [s.rollout.outcome for s in problem.solutions if s.rollout.tokens]
        solved, n = outcomes.count("correct"), len(outcomes) - outcomes.count("undetermined")
        yield self.row_class.model_validate(
            {
                **self._columns(problem, answer),
                "answer_kind": problem.problem.answer_kind,
                "verifier": written,
                "solved": solved,
                "n": n,
                "band": band(solved / n) if n else "unknown",
                "domain": problem.problem.domain,
                "difficulty": problem.problem.difficulty,
                "problem_id": problem.problem.id,
            }
        )

    def _columns(self, problem: LabeledProblem, answer: str) -> Mapping[str, object]:
        of, question = problem.problem, problem.problem.question.strip()
        user = self.user.replace("{question}", question)
        turns = [{"role": "user", "content": user}]
        layouts: Mapping[Layout, Mapping[str, object]] = {
            # accuracy_reward skips what it cannot parse, and it parses LaTeX
            "trl": {"prompt": turns, "solution": f"\\boxed{{{answer}}}"},
            "verl": {
                "data_source": self.data_source,
                "prompt": turns,
                "ability": of.domain,
                "reward_model": {"style": "rule", "ground_truth": answer},
                "extra_info": {
                    "index": seed_of("rl_prompts", of.id) >> 31,
                    "problem_id": of.id,
                    "answer_kind": of.answer_kind,
                },
            },
            "openrlhf": {"input": turns, "label": answer, "datasource": of.source},
            "ms_swift": {"messages": turns, "solution": f"\\boxed{{{answer}}}"},
            "nemo_rl": {"problem": question, "expected_answer": answer, "task_name": TASK_NAME},
            "nemo_gym": {
                "responses_create_params": {"input": turns},
                "question": question,
                "expected_answer": answer,
            },
            "verifiers": {"prompt": user, "answer": answer},
        }
        return layouts[self.layout]


def band(pass_rate: float) -> str:
    if pass_rate in (0, 1):
        return "always" if pass_rate else "never"
    if pass_rate <= 0.25:
        return "hard"
    return "medium" if pass_rate < 0.75 else "easy"


@cache
def _row(layout: Layout) -> type[Record]:
    known = {name: field.annotation for name, field in RLPromptRow.model_fields.items()}
    columns = {name: (kind, ...) for name, kind in {**_KINDS[layout], **known}.items()}
    made: type[Record] = create_model(f"RLPrompt_{layout}", __base__=Record, **columns)  # type: ignore[call-overload]
    return made
