"""The policy's tokenizer: a token for each common word, single digits, and bytes for all else."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.embedded_policy.corpus import domain_solution
from benchmarks.embedded_policy.free_solutions import free_solution
from benchmarks.embedded_policy.slips import solution
from benchmarks.embedded_policy.verdict_corpus import check
from stepforge.generators.families import ALL_FAMILIES, DOMAINS
from stepforge.generators.family import free_question
from stepforge.schemas.seeds import rng_of

END = "<|end|>"
SPLIT = r" ?\d| ?[A-Za-z]+| ?[^\sA-Za-z\d]|\n|\s+"
"""One digit a token: sums are learned faster, and no number is a token of its own (design: single digits)."""
RAREST = 3
"""A word seen less often than this in the corpus is spelled in bytes."""


def _corpus(problems_per_family: int) -> Iterator[str]:
    for family in ALL_FAMILIES:
        part = family(levels=tuple(range(1, family.max_level + 1)))
        for index in range(problems_per_family):
            draft, _ = part.draw(0, index)
            rng = rng_of(0, "tokenizer", index)
            yield f"{draft.plain_question}\n"
            yield "".join(piece.text for piece in solution(draft, rng, slip_share=0.5, repair_share=0.5))
            yield "".join(check(draft, rng))
            if not isinstance(draft.question, str):
                for long in (False, True):
                    yield free_question(draft, rng, long=long)
                    lines = free_solution(draft, rng, slip_share=0.5, repair_share=0.5, long=long)
                    yield "".join(line.text for line in lines)
    for worked in DOMAINS:
        domain = worked(levels=tuple(range(1, worked.max_level + 1)))
        for index in range(problems_per_family):
            question, pieces = domain_solution(domain, 0, index)
            yield question
            yield "".join(piece.text for piece in pieces)


def train_tokenizer(folder: Path, *, problems_per_family: int = 3000) -> None:
    """Collect the words of the families and write a tokenizer that transformers and vLLM load."""
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    counts = Counter(word for text in _corpus(problems_per_family) for word, _ in splitter.pre_tokenize_str(text))
    single = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [word for word, count in counts.most_common() if count >= RAREST and len(word) > 1]
    vocabulary = {token: place for place, token in enumerate([END, *single, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END).save_pretrained(folder)
