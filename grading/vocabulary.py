"""Word lists."""


def words(listed: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(listed.split())
