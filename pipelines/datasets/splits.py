"""Which split a problem belongs to: by template or source group, never by row."""

from stepforge.schemas.seeds import seed_of

SPLITS = ("train", "test")


def split_of(group: str, test_share: float) -> str:
    """Return the split of a template or source group: a hash of its name, so it never moves."""
    return "test" if seed_of("split", group) / 2**63 < test_share else "train"
