"""Which files on the Hub are ours to remove or overwrite, by the checksums that an earlier publication left there."""

import hashlib
import re
from collections.abc import Callable

from stepforge.pipelines.publishing.local_dataset import PART, SUMS, LocalDataset
from stepforge.pipelines.publishing.plan import Remote
from stepforge.pipelines.reports.card import CARD, CARD_BYTES, FIGURES
from stepforge.pipelines.reports.card.contents import SESSION_ROWS, SESSIONS
from stepforge.pipelines.reports.card.index_files import CROISSANT, DATASET_INFO
from stepforge.pipelines.reports.card.peoples_section import read_card
from stepforge.schemas.errors import BadInput

OURS = re.compile(
    rf"{CARD}|{SUMS}|{CROISSANT}|{DATASET_INFO}|{FIGURES}/[\w-]+\.svg|{SESSIONS}/(\d{{5}}\.jsonl|{SESSION_ROWS})"
    rf"|[A-Za-z0-9_][\w.=+-]*/({PART.pattern}|(test_)?traces\.jsonl|pyproject\.toml|__init__\.py)",
    re.ASCII,
)
"""Names of a publication's files. No list of checksums makes a file with another name ours."""
Reader = Callable[[str], bytes]
"""Returns the content of a file on the Hub."""


def listed_sums(sums: str) -> dict[str, str]:
    """Return path -> SHA-256 from a list of checksums, for files that a publication may have made."""
    lines = (line.split("  ", 1) for line in sums.splitlines() if "  " in line)
    return {path: digest for digest, path in lines if OURS.fullmatch(path)}


def with_confirmed(remote: Remote, local: LocalDataset, read: Reader) -> Remote:
    """Return the repository with only those of our files to be removed that are unchanged."""

    def unchanged(path: str, digest: str) -> bool:
        there = remote.files[path].sha256
        return digest == (there if there is not None else hashlib.sha256(read(path)).hexdigest())

    ours = {
        path: digest
        for path, digest in remote.ours.items()
        if path in local.files or (path in remote.files and unchanged(path, digest))
    }
    return remote._replace(ours=ours)


def with_hub_card(local: LocalDataset, remote: Remote, repo: str, read: Reader) -> LocalDataset:
    """Return the data set with what people wrote into the kept section on the Hub.

    Raises BadInput: the card there was changed outside the section, or both cards have new text; nothing was changed.
    """
    there = remote.files.get(CARD)
    if there is None or there.holds(local.files[CARD]):
        return local
    content = read(CARD) if there.size <= CARD_BYTES else b""
    card = read_card(content.decode(errors="replace"))
    published = remote.ours.get(CARD) == hashlib.sha256(content).hexdigest()
    if card is None and published:  # by a version whose cards had no kept section
        return local
    if card is None or not card.intact:
        raise BadInput(
            f"{repo}: {CARD} on the Hub was changed outside its kept section; copy what you want to keep into "
            f"that section of the run's datasets/{CARD}, then delete the one on the Hub and publish again"
        )
    if not card.kept or card.kept == local.card.kept:
        return local
    if local.card.kept and not published:
        raise BadInput(
            f"{repo}: the kept sections of {CARD} here and on the Hub both have new text; merge what you want "
            f"to keep into the run's datasets/{CARD}, empty the other, and publish again"
        )
    return local if local.card.kept else local.with_kept(card.kept)
