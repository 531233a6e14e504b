"""The policy's tokenizer: byte-level BPE with single digits, so that any text is encoded and decoded exactly."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from stepforge.generators.families import ALL_FAMILIES
from stepforge.grading.statement import REPAIR_MARK

END = "<|end|>"
SPLIT = r" ?\d| ?[A-Za-z]+| ?[^\sA-Za-z\d]|\n|\s+"
"""One digit a token: sums are learned faster, and no number is a token of its own (design: single digits)."""


def _corpus(problems_per_family: int) -> Iterator[str]:
    for family in ALL_FAMILIES:
        part = family(levels=tuple(range(1, family.max_level + 1)))
        for index in range(problems_per_family):
            problem = part.item(0, index)
            yield f"{problem.question}\n{REPAIR_MARK}{problem.reference_solution}"


def train_tokenizer(folder: Path, *, problems_per_family: int = 3000) -> None:
    """Train on the families' own words and write a tokenizer that transformers and vLLM load."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=2,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(problems_per_family), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
    fast.save_pretrained(folder)
