"""What a judge is shown: prompts, marks, wordings, seeds, and its own engine."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import CharacterEngine, EqualGrader, a_problem, a_solution, solved
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scripted_judge import BAD, IMITATIONS, Scripted, judged, said, written

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.labelers import Judge
from stepforge.labelers.judge import IMITATES, TEMPLATE, WORDINGS
from stepforge.labelers.verdict_text import VERDICT, numbered
from stepforge.schemas.labeled import Verdict
from stepforge.schemas.protocols import Completion, Message, Prompt, Sampling


def test_the_prompt_shows_the_question_and_every_step_behind_a_marked_delimiter() -> None:
    policy = Scripted(said("Wrong step: none"))
    judged(policy, BAD, votes=1)
    (prompt,) = policy.prompts
    marks = re.findall(r"^<(\d+) ([0-9a-f]{16})>$", prompt, re.MULTILINE)
    assert [number for number, _ in marks] == ["1", "2", "3", "4"]
    (mark,) = {mark for _, mark in marks}
    expected = TEMPLATE.replace("{wording}", WORDINGS[0]).replace("{question}", "Q p?")
    assert prompt == expected.replace("{steps}", numbered(["A", "B", "C", "D"], mark))
    assert prompt.count(VERDICT) == 1


def test_a_finished_solution_without_a_reference_is_judged_and_a_truncated_one_is_not() -> None:
    finished = a_solution("bad", "ABCD", "undetermined").model_copy(update={"finish": "stop"})
    cut = a_solution("cut", "ABCD", "undetermined")
    judge = Judge(votes=1)
    task = solved(finished, cut, problem=a_problem(answer=None))
    row = asyncio.run(judge(task, Scripted(said("Wrong step: 2")), EqualGrader(), seed=1))
    assert [s.verdict.first_error for s in row.solutions] == [1, None]
    assert [s.verdict.abstained for s in row.solutions] == [False, True]
    with_reference = asyncio.run(judge(solved(finished), Scripted(said("Wrong step: 2")), EqualGrader(), seed=1))
    assert with_reference.solutions[0].verdict.abstained


def test_marks_differ_between_solutions_problems_and_runs_and_not_between_votes() -> None:
    def marks(**given_with: Any) -> list[str]:
        policy = Scripted(said("Wrong step: none"))
        judged(policy, BAD, a_solution("other", "ABCD", "wrong"), votes=3, **given_with)
        found = [set(re.findall(r"^<\d+ ([0-9a-f]{16})>$", prompt, re.MULTILINE)) for prompt in policy.prompts]
        assert all(len(mark) == 1 for mark in found)
        return ["".join(mark) for mark in found]

    here, again = marks(), marks()
    elsewhere, later = marks(problem=a_problem("q")), marks(seed=1)
    assert here == again
    assert len({*here}) == 2
    assert len({*here, *elsewhere, *later}) == 6


@pytest.mark.parametrize("text", IMITATIONS[:1])
@pytest.mark.parametrize("marked", [True, False])
def test_a_solution_that_imitates_the_judge_is_not_shown_to_it(text: str, marked: bool) -> None:
    policy = Scripted(said("Wrong step: none"))
    labeled = judged(policy, written("sly", "a = 1\n", text), a_solution("other", "AB", "wrong"), marked=marked)
    assert labeled.solutions[0].verdict == Verdict(labeler="judge", first_error=None, abstained=True, reason=IMITATES)
    assert len(policy.prompts) == 3
    assert labeled.costs[0].cost.rollouts == 3
    assert labeled.solutions[1].verdict.finds_no_error


def test_a_solution_that_knows_its_own_mark_is_not_judged() -> None:
    policy = Scripted(said("Wrong step: none"))
    judged(policy, written("sly", "a = 1\n"), votes=1)
    found = re.search(r"^<1 ([0-9a-f]{16})>$", policy.prompts[0], re.MULTILINE)
    assert found
    sly = written("sly", f"a = 1 {found[1]}\n")
    assert judged(policy, sly).solutions[0].verdict.reason == IMITATES
    assert not judged(policy, sly, seed=1).solutions[0].verdict.abstained
    assert not judged(policy, sly, marked=False).solutions[0].verdict.abstained


@given(st.text(alphabet="{}questionstepswording ", max_size=40), st.text(alphabet="{}steps question", max_size=40))
def test_the_prompt_is_the_template_with_each_text_as_it_is(question: str, step: str) -> None:
    judge = Judge(template="A{question}B{steps}C{wording}D{question}", wordings=("w",), marked=False)
    assert judge.prompt(question, [step], 0, "") == f"A{question}B<1>\n{step.strip()}\nCwD{question}"


@pytest.mark.parametrize(("template", "missing"), [("{question}", "{steps}"), ("{steps}", "{question}")])
def test_a_template_without_its_places_is_refused(template: str, missing: str) -> None:
    with pytest.raises(ValidationError, match=f"has no {missing}"):
        Judge(template=template)


def test_wordings_take_turns_over_votes() -> None:
    policy = Scripted(said("Wrong step: none"))
    judged(policy, votes=5, wordings=("first", "second"))
    assert [prompt.split("\n")[0] for prompt in policy.prompts] == ["first", "second", "first", "second", "first"]
    policy = Scripted(said("Wrong step: none"))
    judged(policy)
    assert tuple(prompt.split("\n")[0] for prompt in policy.prompts) == WORDINGS


def test_every_vote_has_a_seed_of_its_own_and_the_judges_sampling() -> None:
    def seeds(seed: int) -> list[int]:
        policy = Scripted(said("Wrong step: none"))
        judged(policy, BAD, a_solution("other", "AB", "wrong"), votes=4, temperature=0.3, max_tokens=99, seed=seed)
        assert policy.sampling == {Sampling(temperature=0.3, max_tokens=99)}
        assert policy.chat == {True}
        return policy.seeds

    assert seeds(0) == seeds(0)
    assert len({*seeds(0), *seeds(1)}) == 16


class Echo(CharacterEngine):
    """An engine that answers with what it was asked."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        assert prompt.token_ids == self.encode(prompt.text)
        return Completion(text=f"{self.identity.model}:{prompt.text}", finish="stop", tokens=1)

    def chat(self, messages: Sequence[Message]) -> str:
        return "".join(f"[{m.role}]{m.content}" for m in messages)


@pytest.mark.parametrize(("judge", "name"), [(None, "own"), (Echo("judge"), "judge")])
def test_a_policy_asks_its_judge_or_itself(judge: Echo | None, name: str) -> None:
    policy = PromptedPolicy(Echo("own"), PolicySettings(chat=True, system="Solve.", prompt="S {question}"), judge)
    for chat, text in ((True, "[user]Is it?"), (False, "Is it?")):
        answers = asyncio.run(policy.ask("Is it?", n=2, seed=5, sampling=Sampling(), chat=chat))
        assert [answer.text for answer in answers] == [f"{name}:{text}"] * 2
