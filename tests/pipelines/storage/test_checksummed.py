"""A small file that is checksummed: no bit of it flips unseen."""

import json
from itertools import product

from stepforge.pipelines.storage.checksummed import with_checksum, without_checksum


def test_no_bit_of_what_is_checksummed_can_flip_unseen() -> None:
    """Every bit, those of the checksum's own key among them."""
    content = {"run": "1730579d", "rows": 3, "stage": "vet", "report": {"rows_in": 4, "rejected": {}}}
    whole = json.dumps(with_checksum(content)).encode()
    seen = 0
    for position, bit in product(range(len(whole)), range(8)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        try:
            assert (
                without_checksum(json.loads(damaged)) == content
            )  # another white space, or an escape of the same character
        except ValueError:  # also what json and Unicode raise
            seen += 1
    assert seen > 0.95 * len(whole) * 8
