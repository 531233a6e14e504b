"""Seeds from a hash of a path of names, so neighboring seeds share nothing and order never matters."""

import hashlib
from random import Random

Name = str | int


def seed_of(*path: Name) -> int:
    """Return a 63-bit seed for a path such as ``(run seed, "solve", problem id, 3)``.

    The path is length-prefixed before hashing, so ``("ab", "c")`` and ``("a", "bc")`` differ, and so do ``1``
    and ``"1"``.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name in path:
        part = f"{type(name).__name__}:{name}".encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(4, "big") + part)
    return int.from_bytes(digest.digest(), "big") >> 1


def rng_of(*path: Name) -> Random:
    return Random(seed_of(*path))
