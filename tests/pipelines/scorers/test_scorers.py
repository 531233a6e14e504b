"""Every shape on a tiny random model: which positions are read, and the value there against a direct computation."""

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
)

from stepforge.generators.families import ALL_FAMILIES
from stepforge.pipelines.engines.model_files import embedded_folder
from stepforge.pipelines.engines.tokenization import load_tokenizer
from stepforge.pipelines.scorers import AnyScorer, Surprise, open_scorer
from stepforge.pipelines.scorers.surprise_head import SurpriseHead, step_features
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import StepScores

QUESTION = "What is 2 + 3?"
SOLUTIONS = (("2 + 3 = 5", "So it is 5."), ("It is 6.",), ("First\nsecond", "third", "- fourth +"))
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens(list(SPECIAL))
    built.add_tokens([AddedToken("<extra_0>", normalized=False), AddedToken("ки", normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=built, bos_token=SPECIAL[2], eos_token=SPECIAL[1], chat_template=TEMPLATE
    )


def _config(tokenizer: Any, **more: Any) -> Qwen2Config:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "initializer_range": 0.4, **more}
    return Qwen2Config(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        **sizes,
    )


def _save(tokenizer: Any, network: Any, folder: Path) -> Any:
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return network


def _lm(tokenizer: Any, folder: Path) -> Any:
    torch.manual_seed(1)
    return _save(tokenizer, Qwen2ForCausalLM(_config(tokenizer)), folder)


def _with_head(tokenizer: Any, folder: Path, head: dict[str, torch.Tensor]) -> Any:
    network = _lm(tokenizer, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    return network


def _scores(settings: dict[str, Any], solutions: Sequence[Sequence[str]] = SOLUTIONS) -> list[StepScores]:
    async def work() -> list[StepScores]:
        scorer = await open_scorer(TypeAdapter(AnyScorer).validate_python(settings))
        try:
            return await scorer.score(QUESTION, solutions)
        finally:
            await scorer.close()

    return asyncio.run(work())


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@torch.inference_mode()
def _hidden(network: Any, ids: list[int]) -> torch.Tensor:
    return network.model(input_ids=torch.tensor([ids])).last_hidden_state[0]


@torch.inference_mode()
def _logits(network: Any, ids: list[int]) -> torch.Tensor:
    return network(input_ids=torch.tensor([ids])).logits[0]


def _check(found: list[StepScores], expected: list[list[float]]) -> None:
    assert all(one.error is None for one in found)
    assert [list(one.scores) for one in found] == [pytest.approx(row, abs=2e-5) for row in expected]
    assert len({round(score, 4) for row in expected for score in row}) > 3, "the positions must matter"


def test_token_classification_is_read_at_the_separators(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = _save(tokenizer, Qwen2ForTokenClassification(_config(tokenizer, num_labels=2)), tmp_path)
    expected = []
    for steps in SOLUTIONS:
        ids, row = [tokenizer.bos_token_id, *_ids(tokenizer, QUESTION)], []
        for step in steps:
            ids += _ids(tokenizer, step) + _ids(tokenizer, "\n")
            row.append(_logits(network, ids).softmax(-1)[-1, 1].item())  # a causal model: the last token so far
        expected.append(row)
    _check(_scores({"kind": "token_classification", "model": str(tmp_path)}), expected)
    other = _scores({"kind": "token_classification", "model": str(tmp_path), "right_class": 0})
    assert [list(o.scores) for o in other] == [pytest.approx([1 - p for p in row], abs=2e-5) for row in expected]


def test_qwen_prm_is_read_at_its_separator_token(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(3)
    head = {"score.0.weight": 0.3 * torch.randn(16, 16), "score.0.bias": torch.randn(16)}
    head |= {"score.2.weight": 0.3 * torch.randn(2, 16), "score.2.bias": torch.randn(2)}
    network = _with_head(tokenizer, tmp_path, head)
    expected = []
    for steps in SOLUTIONS:
        text = (
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
            + "".join(f"{step}<extra_0>" for step in steps)
            + "<|im_end|>\n"
        )
        ids = _ids(tokenizer, text)
        at = [i for i, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids("<extra_0>")]
        hidden = _hidden(network, ids)[at]
        inner = torch.relu(hidden @ head["score.0.weight"].T + head["score.0.bias"])
        expected.append((inner @ head["score.2.weight"].T + head["score.2.bias"]).softmax(-1)[:, 1].tolist())
    _check(_scores({"kind": "qwen_prm", "model": str(tmp_path)}), expected)


def test_rlhflow_is_read_where_each_answer_is_about_to_be_written(tokenizer: Any, tmp_path: Path) -> None:
    network = _lm(tokenizer, tmp_path)
    plus, minus = _ids(tokenizer, "+") + _ids(tokenizer, "-")
    expected = []
    for steps in SOLUTIONS:
        row, text = [], ""
        for number, step in enumerate(steps):
            said = step if number else f"{QUESTION} {step}"
            text += f"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
            row.append(_logits(network, _ids(tokenizer, text))[-1, [plus, minus]].softmax(-1)[0].item())
            text += "+<|im_end|>\n"
        expected.append(row)
    found = _scores({"kind": "rlhflow", "model": str(tmp_path)})
    _check(found, expected)
    assert found[0].tokens < 2 * len(_ids(tokenizer, text)), "one pass reads all steps"


def test_math_shepherd_is_read_at_its_step_token(tokenizer: Any, tmp_path: Path) -> None:
    network = _lm(tokenizer, tmp_path)
    plus, minus = _ids(tokenizer, "+") + _ids(tokenizer, "-")
    tag = tokenizer.convert_tokens_to_ids("ки")
    expected = []
    for steps in SOLUTIONS:
        ids = _ids(tokenizer, f"{QUESTION} " + "\n".join(f"Step {i}: {s} ки" for i, s in enumerate(steps, start=1)))
        at = [i for i, token in enumerate(ids) if token == tag]
        expected.append(_logits(network, ids)[at][:, [plus, minus]].softmax(-1)[:, 0].tolist())
    settings = {"kind": "math_shepherd_prm", "model": str(tmp_path)}
    _check(_scores(settings), expected)
    spelled, fine = _scores(settings, (("a ки b", "c"), ("It is 6.",)))
    assert spelled.scores == () and "step token" in str(spelled.error)
    assert list(fine.scores) == pytest.approx(expected[1], abs=2e-5)


def test_a_value_head_is_read_at_the_line_break_after_each_step(tokenizer: Any, tmp_path: Path) -> None:
    torch.manual_seed(4)
    head = {"v_head.summary.weight": 0.3 * torch.randn(1, 16), "v_head.summary.bias": torch.randn(1)}
    network = _with_head(tokenizer, tmp_path, head)
    expected = []
    for steps in SOLUTIONS:
        ids, row = [tokenizer.bos_token_id, *_ids(tokenizer, QUESTION + "\n")], []
        for step in steps:
            ids += _ids(tokenizer, step + "\n")
            value = _hidden(network, ids)[-1] @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"][0]
            row.append(value.sigmoid().item())
        expected.append(row)
    _check(_scores({"kind": "value_head", "model": str(tmp_path)}), expected)


def test_a_generative_judge_gives_the_share_of_yes(tokenizer: Any, tmp_path: Path) -> None:
    network = _lm(tokenizer, tmp_path)
    yes, no = _ids(tokenizer, "Y") + _ids(tokenizer, "N")
    expected = []
    for steps in SOLUTIONS:
        row = []
        for count in range(1, len(steps) + 1):
            text = f"Q: {QUESTION}\n" + "\n".join(steps[:count]) + "\nRight? Yes or No:"
            ids = [*_ids(tokenizer, text)]
            row.append(_logits(network, ids)[-1, [yes, no]].softmax(-1)[0].item())
        expected.append(row)
    template = "Q: {question}\n{steps}\nRight? {right} or {wrong}:"
    settings = {"kind": "generative", "model": str(tmp_path), "template": template, "chat": False}
    _check(_scores(settings), expected)
    assert all(one.error is None for one in _scores({"kind": "generative", "model": str(tmp_path)}))
    (same,) = _scores({**settings, "wrong": "You"}, (SOLUTIONS[1],))
    assert same.scores == () and "cannot tell" in str(same.error)


def test_surprise_reads_the_policy_and_asks_its_head(tokenizer: Any, tmp_path: Path) -> None:
    network = _lm(tokenizer, tmp_path)
    torch.manual_seed(5)
    head = SurpriseHead()
    head.save(tmp_path)
    expected = []
    for steps in SOLUTIONS:
        ids = _ids(tokenizer, QUESTION + "\n")
        at = [len(ids) - 1]
        for step in steps:
            ids += _ids(tokenizer, step + "\n")
            at.append(len(ids) - 1)
        chances = _logits(network, ids).log_softmax(-1)
        lowest = [min(chances[i, ids[i + 1]].item() for i in range(start, end - 1)) for start, end in pairwise(at)]
        features = step_features(_logits(network, ids), _reading(ids, at))
        squeezed = torch.tensor(lowest)
        assert torch.allclose(features[:, 0], -torch.log1p(-squeezed * 5), atol=1e-4)
        expected.append(head.read_scores([features])[0])
    _check(_scores({"kind": "surprise", "model": str(tmp_path)}), expected)


def _reading(ids: list[int], at: list[int]) -> Any:
    from stepforge.pipelines.scorers.shapes import Reading

    return Reading(tuple(ids), tuple(at))


def test_what_cannot_be_scored_is_an_error_and_never_a_low_score(tokenizer: Any, tmp_path: Path) -> None:
    _lm(tokenizer, tmp_path)
    SurpriseHead().save(tmp_path)
    settings = {"kind": "surprise", "model": str(tmp_path), "max_model_len": 40}
    long, hostile, empty, fine = _scores(settings, (("x" * 60,), ("a<|im_end|>",), (), ("5",)))
    assert long.scores == hostile.scores == empty.scores == ()
    assert "context 40" in str(long.error)
    assert "control token" in str(hostile.error)
    assert fine.error is None and len(fine.scores) == 1


def test_equal_calls_give_equal_scores_whatever_the_batch(tokenizer: Any, tmp_path: Path) -> None:
    _lm(tokenizer, tmp_path)
    settings = {"kind": "math_shepherd_prm", "model": str(tmp_path)}
    together = _scores(settings)
    assert together == _scores(settings)
    apart = _scores({**settings, "tokens_per_batch": 1})
    for one, other in zip(together, apart, strict=True):
        assert list(one.scores) == pytest.approx(list(other.scores), abs=2e-5)


def test_a_model_without_the_head_or_the_file_is_bad_input(tokenizer: Any, tmp_path: Path) -> None:
    _lm(tokenizer, tmp_path)
    with pytest.raises(BadInput, match=r"v_head\.summary"):
        _scores({"kind": "value_head", "model": str(tmp_path)})
    with pytest.raises(BadInput, match="train one"):
        _scores({"kind": "surprise", "model": str(tmp_path)})
    with pytest.raises(BadInput, match="not a folder"):
        _scores({"kind": "rlhflow", "model": "./nowhere"})


def test_the_embedded_reward_model_sees_a_wrong_line() -> None:
    problem = next(part for part in ALL_FAMILIES if part().kind == "sequence")(levels=(3,)).item(5, 0)
    right = (problem.reference_solution or "").split("\n")
    line = right[2]
    number = re.findall(r"\d+", line)[-1]
    wrong = [*right[:2], line.removesuffix(number) + str(int(number) + 1), *right[3:]]

    async def work() -> list[StepScores]:
        scorer = await open_scorer(Surprise())
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
    _save(tokenizer, Qwen2ForCausalLM(_config(tokenizer, hidden_size=size, initializer_range=0.1)), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({**weights, **head}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("Qwen2ForCausalLM", "Qwen2ForProcessRewardModel"))
    ours = _scores({"kind": "qwen_prm", "model": str(tmp_path)})
    theirs = _scores({"kind": "qwen_prm", "model": str(tmp_path), "engine": "vllm", "dtype": "float32"})
    for one, other in zip(ours, theirs, strict=True):
        assert list(one.scores) == pytest.approx(list(other.scores), abs=1e-3)
