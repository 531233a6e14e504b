"""Every shape on a tiny random model: which positions are read, and the value there against a direct computation."""

import asyncio
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from imported_later import Later, torch, transformers
from tiny_networks import (
    QUESTION,
    SOLUTIONS,
    check,
    config_of,
    hidden,
    ids_of,
    language_model,
    logits,
    safetensors,
    saved,
    scores_of,
    tiny_tokenizer,
    with_head,
)

from stepforge.generators.families import ALL_FAMILIES
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.tokenization import ModelTokenizer, load_tokenizer
from stepforge.pipelines.scorers import Surprise, open_scorer
from stepforge.pipelines.scorers.shapes import Reading
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import StepScores

by_family = Later("benchmarks.usefulness.by_family")
surprise_head = Later("stepforge.pipelines.scorers.surprise_head")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def test_token_classification_is_read_at_the_separators(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = saved(tokenizer, transformers.Qwen2ForTokenClassification(config_of(tokenizer, num_labels=2)), tmp_path)
    expected = []
    for steps in SOLUTIONS:
        ids, row = [tokenizer.bos_token_id, *ids_of(tokenizer, QUESTION)], []
        for step in steps:
            ids += ids_of(tokenizer, step) + ids_of(tokenizer, "\n")
            row.append(logits(network, ids).softmax(-1)[-1, 1].item())  # a causal model: the last token so far
        expected.append(row)
    check(scores_of({"kind": "token_classification", "model": str(tmp_path)}), expected)
    other = scores_of({"kind": "token_classification", "model": str(tmp_path), "right_class": 0})
    assert [list(o.scores) for o in other] == [pytest.approx([1 - p for p in row], abs=2e-5) for row in expected]


def test_qwen_prm_is_read_at_its_separator_token(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(3)
    head = {"score.0.weight": 0.3 * torch.randn(16, 16), "score.0.bias": torch.randn(16)}
    head |= {"score.2.weight": 0.3 * torch.randn(2, 16), "score.2.bias": torch.randn(2)}
    network = with_head(tokenizer, tmp_path, head)
    expected = []
    for steps in SOLUTIONS:
        text = (
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
            + "".join(f"{step}<extra_0>" for step in steps)
            + "<|im_end|>\n"
        )
        ids = ids_of(tokenizer, text)
        at = [i for i, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids("<extra_0>")]
        states = hidden(network, ids)[at]
        inner = torch.relu(states @ head["score.0.weight"].T + head["score.0.bias"])
        expected.append((inner @ head["score.2.weight"].T + head["score.2.bias"]).softmax(-1)[:, 1].tolist())
    check(scores_of({"kind": "qwen_prm", "model": str(tmp_path)}), expected)


def test_rlhflow_is_read_where_each_answer_is_about_to_be_written(tokenizer: Any, tmp_path: Path) -> None:
    network = language_model(tokenizer, tmp_path)
    plus, minus = ids_of(tokenizer, "+") + ids_of(tokenizer, "-")
    expected = []
    for steps in SOLUTIONS:
        row, text = [], ""
        for number, step in enumerate(steps):
            said = step if number else f"{QUESTION} {step}"
            text += f"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
            row.append(logits(network, ids_of(tokenizer, text))[-1, [plus, minus]].softmax(-1)[0].item())
            text += "+<|im_end|>\n"
        expected.append(row)
    found = scores_of({"kind": "rlhflow", "model": str(tmp_path)})
    check(found, expected)
    assert found[0].tokens < 2 * len(ids_of(tokenizer, text)), "one pass reads all steps"


def test_math_shepherd_is_read_at_its_step_token(tokenizer: Any, tmp_path: Path) -> None:
    network = language_model(tokenizer, tmp_path)
    plus, minus = ids_of(tokenizer, "+") + ids_of(tokenizer, "-")
    tag = tokenizer.convert_tokens_to_ids("ки")
    expected = []
    for steps in SOLUTIONS:
        ids = ids_of(tokenizer, f"{QUESTION} " + "\n".join(f"Step {i}: {s} ки" for i, s in enumerate(steps, start=1)))
        at = [i for i, token in enumerate(ids) if token == tag]
        expected.append(logits(network, ids)[at][:, [plus, minus]].softmax(-1)[:, 0].tolist())
    settings = {"kind": "math_shepherd_prm", "model": str(tmp_path)}
    check(scores_of(settings), expected)
    spelled, fine = scores_of(settings, (("a ки b", "c"), ("It is 6.",)))
    assert spelled.scores == () and "step token" in str(spelled.error)
    assert list(fine.scores) == pytest.approx(expected[1], abs=2e-5)


def test_a_value_head_is_read_at_the_line_break_after_each_step(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(4)
    head = {"v_head.summary.weight": 0.3 * torch.randn(1, 16), "v_head.summary.bias": torch.randn(1)}
    network = with_head(tokenizer, tmp_path, head)
    expected = []
    for steps in SOLUTIONS:
        ids, row = [tokenizer.bos_token_id, *ids_of(tokenizer, QUESTION + "\n")], []
        for step in steps:
            ids += ids_of(tokenizer, step + "\n")
            value = hidden(network, ids)[-1] @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"][0]
            row.append(value.sigmoid().item())
        expected.append(row)
    check(scores_of({"kind": "value_head", "model": str(tmp_path)}), expected)


def test_a_generative_judge_gives_the_share_of_yes(tokenizer: Any, tmp_path: Path) -> None:
    network = language_model(tokenizer, tmp_path)
    yes, no = ids_of(tokenizer, "Y") + ids_of(tokenizer, "N")
    expected = []
    for steps in SOLUTIONS:
        row = []
        for count in range(1, len(steps) + 1):
            text = f"Q: {QUESTION}\n" + "\n".join(steps[:count]) + "\nRight? Yes or No:"
            ids = [*ids_of(tokenizer, text)]
            row.append(logits(network, ids)[-1, [yes, no]].softmax(-1)[0].item())
        expected.append(row)
    template = "Q: {question}\n{steps}\nRight? {right} or {wrong}:"
    settings = {"kind": "generative", "model": str(tmp_path), "template": template, "chat": False}
    check(scores_of(settings), expected)
    assert all(one.error is None for one in scores_of({"kind": "generative", "model": str(tmp_path)}))
    (same,) = scores_of({**settings, "wrong": "You"}, (SOLUTIONS[1],))
    assert same.scores == () and "cannot tell" in str(same.error)


def test_surprise_reads_the_policy_and_asks_its_head(tokenizer: Any, tmp_path: Path) -> None:
    network = language_model(tokenizer, tmp_path)
    torch.manual_seed(5)
    head, tokens = surprise_head.SurpriseHead(), ModelTokenizer(tokenizer)
    head.save(tmp_path)
    expected = []
    for steps in SOLUTIONS:
        ids = ids_of(tokenizer, QUESTION + "\n")
        at = [len(ids) - 1]
        for step in steps:
            ids += ids_of(tokenizer, step + "\n")
            at.append(len(ids) - 1)
        chances = logits(network, ids).log_softmax(-1)
        total = [sum(chances[i, ids[i + 1]].item() for i in range(start, end - 1)) for start, end in pairwise(at)]
        features = surprise_head.step_features(logits(network, ids), Reading(tuple(ids), tuple(at)), tokens)
        sums = [surprise_head.FEATURES.index(f"sum, {group}") for group in surprise_head.GROUPS[:3]]
        of_groups = -features[:, sums].abs().expm1() / 5
        assert of_groups.sum(-1).tolist() == pytest.approx(total, abs=1e-3)
        expected.append(head.read_scores([features])[0])
    check(scores_of({"kind": "surprise", "model": str(tmp_path)}), expected)


def test_numbers_are_told_from_words_and_new_ones_from_repeated_ones() -> None:
    pieces = ("Ann", " has", " 1", "5", " pens", ".", "\n", " 1", "5", "-", "1", " =", " 1", "4", " 1")
    numbers = [*surprise_head.numbers_of(pieces)]
    assert numbers == [(2, 4, False), (7, 9, True), (10, 11, False), (12, 14, False), (14, 15, True)]
    words, repeated, new, last = surprise_head.masks_of(numbers, 7, 14).int().tolist()
    assert words == [0, 0, 1, 0, 1, 0, 0]
    assert repeated == [1, 1, 0, 0, 0, 0, 0]
    assert new == [0, 0, 0, 1, 0, 1, 1]
    assert last == [0, 0, 0, 0, 0, 1, 1]


def test_a_head_learns_and_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    read = [3 * torch.tensor([[1.0], [i % 2]]).repeat(1, len(surprise_head.FEATURES)) for i in range(40)]
    training = surprise_head.HeadTraining(steps=200, batch=32)
    head = surprise_head.train_head(read, [(1.0, float(i % 2)) for i in range(40)], training, 1)
    scores = head.read_scores(read[:2])
    assert scores[0][1] < 0.2
    assert scores[1][1] > 0.8
    head.save(tmp_path)
    assert surprise_head.SurpriseHead.load(tmp_path).read_scores(read[:2]) == scores
    with pytest.raises(BadInput, match="nothing to train on"):
        surprise_head.train_head(read[:1], [(None, None)], surprise_head.HeadTraining(steps=1), 1)


def test_the_least_expected_token_is_read_back_from_a_feature() -> None:
    one = torch.zeros(1, len(surprise_head.FEATURES))
    one[0, surprise_head.FEATURES.index("lowest, new numbers")] = math.log(0.25)
    assert by_family.lowest_chance(surprise_head.squeeze(one))[0] == pytest.approx(0.25)


def test_what_cannot_be_scored_is_an_error_and_never_a_low_score(tokenizer: Any, tmp_path: Path) -> None:
    language_model(tokenizer, tmp_path)
    surprise_head.SurpriseHead().save(tmp_path)
    settings = {"kind": "surprise", "model": str(tmp_path), "max_model_len": 40}
    long, hostile, empty, fine = scores_of(settings, (("x" * 60,), ("a<|im_end|>",), (), ("5",)))
    assert long.scores == hostile.scores == empty.scores == ()
    assert "context 40" in str(long.error)
    assert "control token" in str(hostile.error)
    assert fine.error is None and len(fine.scores) == 1


def test_equal_calls_give_equal_scores_whatever_the_batch(tokenizer: Any, tmp_path: Path) -> None:
    language_model(tokenizer, tmp_path)
    settings = {"kind": "math_shepherd_prm", "model": str(tmp_path)}
    together = scores_of(settings)
    assert together == scores_of(settings)
    apart = scores_of({**settings, "tokens_per_batch": 1})
    for one, other in zip(together, apart, strict=True):
        assert list(one.scores) == pytest.approx(list(other.scores), abs=2e-5)


def test_a_model_without_the_head_or_the_file_is_bad_input(tokenizer: Any, tmp_path: Path) -> None:
    language_model(tokenizer, tmp_path)
    with pytest.raises(BadInput, match=r"v_head\.summary"):
        scores_of({"kind": "value_head", "model": str(tmp_path)})
    surprise = {"kind": "surprise", "model": str(tmp_path)}
    with pytest.raises(BadInput, match="train one"):
        scores_of(surprise)
    safetensors.save_file({"mean": torch.zeros(9)}, tmp_path / "surprise_head.safetensors")
    with pytest.raises(BadInput, match="not a head of this version"):
        scores_of(surprise)
    with pytest.raises(BadInput, match="not a folder"):
        scores_of({"kind": "rlhflow", "model": "./nowhere"})


@pytest.mark.parametrize(("model", "wording"), [("embedded", "plain"), ("embedded-free", "free")])
def test_an_embedded_reward_model_sees_a_wrong_line(model: str, wording: str) -> None:
    family = next(part for part in ALL_FAMILIES if part().kind == "sequence")
    problem = family.model_validate({"levels": (3,), "wording": wording}).item(5, 0)
    right = (problem.reference_solution or "").split("\n")
    line = right[2]
    number = re.findall(r"\d+", line)[-1]
    wrong = [*right[:2], line.removesuffix(number) + str(int(number) + 1), *right[3:]]

    async def work() -> list[StepScores]:
        scorer = await open_scorer(Surprise(model=model))
        return await scorer.score(problem.question, [right, wrong])

    good, bad = asyncio.run(work())
    assert bad.scores[2] < 0.5 < good.scores[2]
    assert good.scores[:2] == pytest.approx(bad.scores[:2], abs=1e-4)


def test_the_embedded_policys_tokenizer_is_read_as_it_wrote() -> None:
    tokenizer = load_tokenizer(str(embedded_folder()))
    assert tokenizer.encode_prompt("a = 1\n", bos=False)[-1] == tokenizer.encode_prompt("\n", bos=False)[-1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vllm_reads_what_transformers_reads(tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    torch.manual_seed(3)
    size = 128  # vLLM's attention on a CPU takes heads of 32 and more
    head = {"score.0.weight": 0.1 * torch.randn(size, size), "score.0.bias": torch.randn(size)}
    head |= {"score.2.weight": 0.1 * torch.randn(2, size), "score.2.bias": torch.randn(2)}
    saved(
        tokenizer,
        transformers.Qwen2ForCausalLM(config_of(tokenizer, hidden_size=size, initializer_range=0.1)),
        tmp_path,
    )
    weights = safetensors.load_file(tmp_path / "model.safetensors")
    safetensors.save_file({**weights, **head}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("Qwen2ForCausalLM", "Qwen2ForProcessRewardModel"))
    ours = scores_of({"kind": "qwen_prm", "model": str(tmp_path)})
    theirs = scores_of({"kind": "qwen_prm", "model": str(tmp_path), "engine": "vllm", "dtype": "float32"})
    for one, other in zip(ours, theirs, strict=True):
        assert list(one.scores) == pytest.approx(list(other.scores), abs=1e-3)
