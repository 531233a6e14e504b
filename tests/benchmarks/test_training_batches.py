from collections.abc import Iterator
from itertools import islice
from random import Random

from benchmarks.embedded_policy.corpus import Example
from benchmarks.embedded_policy.train import SEQUENCES_PER_STEP, TOKENS_PER_STEP, batches


def _drawn() -> Iterator[Example]:
    rng = Random(0)
    while True:
        length = rng.randrange(50, 1000)
        yield Example([0] * length, [0] * length)


def test_no_batch_has_more_examples_or_padded_tokens_than_a_step_may_have() -> None:
    for batch in islice(batches(_drawn()), 200):
        assert 1 <= len(batch) <= SEQUENCES_PER_STEP
        assert len(batch) * max(len(example.ids) for example in batch) <= TOKENS_PER_STEP
