"""The policy continues from exactly the tokens it wrote, and cuts text into steps that join to it."""

import asyncio
from collections.abc import Sequence

import pytest
from fakes import Writer, a_problem
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stepforge.generators.policies import Policies
from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.segmenters import BlankLine, Line, Pieces
from stepforge.pipelines.exports.contract import asked
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.protocols import Completion, Message, Prompt, Sampling
from stepforge.schemas.rollout import Step


def test_each_problem_is_asked_in_one_way() -> None:
    ways = [
        {"name": "terse", "share": 0.3, "prompt": "Briefly: {question}", "temperature": 0.5},
        {"name": "hot", "share": 0.2, "temperature": 1.5},
    ]
    policy = Policies({"engine": ThreeByThree("x")}, PolicySettings.model_validate({"ways": ways}))
    asked = [policy.solving(a_problem(str(i))) for i in range(600)]
    models = [one.identity.model for one in asked]
    shares = {model: models.count(model) / len(models) for model in set(models)}
    assert shares == pytest.approx({"writer": 0.5, "writer, terse": 0.3, "writer, hot": 0.2}, abs=0.06)
    terse = asked[models.index("writer, terse")]
    assert (terse.identity.prompt, terse.sampling.temperature) == ("Briefly: {question}", 0.5)
    assert policy.solving(a_problem("7")) is policy.solving(a_problem("7"))
    for wrong in (
        [{"name": "a", "share": 0.7}, {"name": "b", "share": 0.7}],
        [{"name": "a", "share": 1, "prompt": "x"}],
    ):
        with pytest.raises(ValidationError):
            PolicySettings.model_validate({"ways": wrong})


class ThreeByThree(Writer):
    """Its tokens are three characters wide, so that most step boundaries fall inside a token."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 3)


def sampled(engine: ThreeByThree, settings: PolicySettings, prefix: Sequence[Step] = ()) -> list[tuple[Step, ...]]:
    policy = PromptedPolicy(engine, settings)
    rollouts = asyncio.run(policy.sample(a_problem(), prefix, n=2, seed=7))
    return [rollout.steps for rollout in rollouts]


@given(st.text(alphabet="ab \n.", max_size=60), st.sampled_from([Line(), BlankLine(), Pieces(count=4)]))
def test_steps_join_to_the_text_and_their_tokens_to_its_tokens(text: str, segmenter: Line | BlankLine | Pieces) -> None:
    engine = ThreeByThree(text)
    for steps in sampled(engine, PolicySettings(segmenter=segmenter)):
        assert "".join(step.text for step in steps) == text
        assert tuple(i for step in steps for i in step.token_ids) == engine.encode(text)
        assert all(step.text and step.token_ids for step in steps)


def test_a_boundary_inside_a_token_moves_to_its_end() -> None:
    (steps, _) = sampled(ThreeByThree("aa\nbbbb\ncc"), PolicySettings())
    assert [step.text for step in steps] == ["aa\n", "bbbb\nc", "c"]


def test_a_prefix_is_given_as_the_tokens_that_were_written() -> None:
    engine = ThreeByThree("aa\nbbb")
    (first, _) = sampled(engine, PolicySettings())
    sampled(engine, PolicySettings(), first[:1])
    before, _, after, _ = engine.asked
    assert after.token_ids == (*before.token_ids, *first[0].token_ids)
    assert after.text == before.text + first[0].text


def test_rollouts_of_a_call_have_different_ids_and_the_same_call_the_same() -> None:
    policy = PromptedPolicy(ThreeByThree("aa\n"), PolicySettings())
    calls = [asyncio.run(policy.sample(a_problem(), (), n=3, seed=s)) for s in (7, 7, 8)]
    ids = [[rollout.id for rollout in call] for call in calls]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 6


def test_a_truncated_rollout_has_no_answer() -> None:
    policy = PromptedPolicy(ThreeByThree("Answer: 4"), PolicySettings(max_tokens=3))
    (rollout,) = asyncio.run(policy.sample(a_problem(), (), n=1, seed=7))
    assert rollout.answer is None
    assert rollout.outcome == "undetermined"


@pytest.mark.parametrize(
    ("text", "stated", "any_answer"), [("Answer: 4", "4", "4"), ("So we get 18 apples.", None, "18")]
)
def test_answers_stated_or_guessed(text: str, stated: str | None, any_answer: str) -> None:
    for answer, expected in (("stated", stated), ("any", any_answer)):
        policy = PromptedPolicy(ThreeByThree(text), PolicySettings.model_validate({"answer": answer}))
        assert policy.answer(a_problem(), text) == expected


@pytest.mark.parametrize("answer", ["stated", "any"])
def test_an_answer_in_words_may_be_a_sentence(answer: str) -> None:
    policy = PromptedPolicy(ThreeByThree("a"), PolicySettings.model_validate({"answer": answer}))
    problem = a_problem(answer="Ada is a pet").model_copy(update={"answer_kind": "text"})
    assert policy.answer(problem, "so Ada is a pet\nAnswer: Ada is a pet") == "Ada is a pet"
    assert policy.answer(problem, "**Answer:** Ada") == "Ada"
    moves = problem.model_copy(update={"answer": "up, down, so it ends"})
    assert policy.answer(moves, "Answer: up, down, so it ends") == "up, down, so it ends"
    assert policy.answer(problem, "Answer: Ben, because of the hat") == "Ben"
    assert policy.answer(problem, "All 4 are pets.\nAnswer: Ada is a pet") == "Ada is a pet"
    assert policy.answer(problem, "So there are 4.") == (None if answer == "stated" else "4")


def test_a_policy_can_write_one_line_at_a_time() -> None:
    policy = PromptedPolicy(Writer("one\ntwo\nAnswer: 4\n"), PolicySettings(answer="stated"))
    prefix: tuple[Step, ...] = ()
    for line, answer in (("one\n", None), ("two\n", None), ("Answer: 4", "4")):
        (rollout, _) = asyncio.run(policy.next_steps(a_problem(), prefix, n=2, seed=1))
        (step,) = rollout.steps
        assert (step.text, rollout.answer, step.token_ids) == (line, answer, tuple(map(ord, line)))
        assert step.logprob == -len(line.strip())
        prefix = (*prefix, step)


def test_chat_models_get_their_template() -> None:
    engine = ThreeByThree("a")
    sampled(engine, PolicySettings(chat=True, system="Be brief.", prompt="Solve: {question}"))
    assert engine.asked[0].text == "<system>Be brief.<user>Solve: Q p?<assistant>"


def test_the_identity_tells_the_prompt_as_the_model_is_given_it() -> None:
    """Exports make training prompts from it, which must be those that the policy saw."""
    engine = ThreeByThree("a")
    for settings in (PolicySettings(chat=True, prompt="Solve: {question}"), PolicySettings(prompt="Q: {question}\n")):
        policy = PromptedPolicy(engine, settings)
        asyncio.run(policy.sample(a_problem(), (), n=1, seed=7))
        assert policy.identity.prompt.replace("{question}", a_problem().question) == engine.asked[-1].text


class Trimming(ThreeByThree):
    """A model whose chat template trims each turn, as Llama 3's does, and whose tokenizer has a first token."""

    def chat(self, messages: Sequence[Message]) -> str:
        return "".join(f"<{m.role}>{m.content.strip()}" for m in messages) + "<assistant>"

    def encode_prompt(self, text: str, *, bos: bool) -> tuple[int, ...]:
        return (*([-1] if bos else []), *self.encode(text))


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("question", ["  What is 3 + 4?\n\n", "What is 3 + 4?"])
def test_an_exported_prompt_is_the_one_that_was_sent(question: str, chat: bool) -> None:
    engine = Trimming("aa\n")
    policy = PromptedPolicy(engine, PolicySettings(chat=chat))
    problem = a_problem().model_copy(update={"question": question})
    asyncio.run(policy.sample(problem, (), n=1, seed=7))
    row = LabeledProblem(problem=problem, solutions=(), evidence=(), policy=policy.identity, costs=())
    assert asked(row) == engine.asked[0].text


def test_a_plain_prompt_has_the_models_first_token_and_a_chat_prompt_the_templates_own() -> None:
    for chat in (False, True):
        engine = Trimming("aa\n")
        policy = PromptedPolicy(engine, PolicySettings(chat=chat))
        (rollout, *_) = asyncio.run(policy.sample(a_problem(), (), n=1, seed=7))
        asyncio.run(policy.sample(a_problem(), rollout.steps, n=1, seed=7))
        assert [prompt.token_ids.count(-1) for prompt in engine.asked] == [0 if chat else 1] * 2
        asyncio.run(policy.ask("a", n=1, seed=1, sampling=Sampling(), chat=chat))
        assert engine.asked[-1].token_ids.count(-1) == (0 if chat else 1)


class Reading(ThreeByThree):
    """Tells how likely the end of a prompt is, which its base class, older, takes for a request to write."""

    async def complete(self, prompt: Prompt, *, seed: int, sampling: Sampling) -> Completion:
        self.asked.append(prompt)
        ids = prompt.token_ids[-sampling.scored :]
        ends = self.token_ends(ids)
        text, chances = prompt.text[-ends[-1] :], (-2.0,) * len(ids)
        return Completion(text=text, token_ids=ids, token_ends=ends, finish="stop", tokens=1, logprobs=chances)


def test_how_likely_a_text_is_comes_from_engines_that_read_it_and_from_no_others() -> None:
    prefix = (Step(text="aa\n", token_ids=(1,)),)
    for engine in (Reading("bbb"), ThreeByThree("bbb"), ThreeByThree("")):
        policy = PromptedPolicy(engine, PolicySettings())
        told = asyncio.run(policy.likelihood(a_problem(), prefix, "So ", "12}\n"))
        assert engine.asked[0].text.endswith("aa\nSo 12}\n")
        assert engine.asked[0].token_ids[-4:] == (1, *engine.encode("So "), *engine.encode("12}\n"))
        if isinstance(engine, Reading):
            assert (told.text, told.logprobs) == ("12}\n", (-2.0, -2.0))
        else:  # what it wrote instead says nothing
            assert told.error == "the engine does not say how likely a given text is"
