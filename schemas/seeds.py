"""Seeds from a hash of a path of names, so that neighbouring seeds share nothing and order never matters."""

import hashlib
from random import Random

Name = str | int


def seed_of(*path: Name) -> int:
    """Return a 63-bit seed for a path such as ``(run seed, "solve", problem id, 3)``.

    The path is length-prefixed before hashing, so ``("ab", "c")`` and ``("a", "bc")`` differ, and so do ``1``
    and ``"1"``.
    """
    names = [f"{type(name).__name__}:{name}".encode("utf-8", "surrogatepass") for name in path]
    whole = b"".join(part for name in names for part in (len(name).to_bytes(4, "big"), name))
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big") >> 1


def rng_of(*path: Name) -> Random:
    """Return a random generator seeded by the path."""
    return Random(seed_of(*path))
