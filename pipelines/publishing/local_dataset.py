"""The data sets in the run folder: the files that the run wrote, each with its SHA-256 at that time.

Nothing else is published: a file that no stamp lists, or lists with another checksum, is refused. ``SHA256SUMS`` is
added, a list for ``sha256sum --check``; it tells later publications which files are ours.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import SecretStr

from stepforge.pipelines.datasets.stamp import FileStamp, card_stamp_file, read_stamp, stamp_file, stamp_of_text
from stepforge.pipelines.datasets.writer import rows_by_split
from stepforge.pipelines.reports.card import CARD, CARD_BYTES, card_head, described_files
from stepforge.pipelines.reports.card.peoples_section import Card, read_card
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.regular_files import open_regular, read_small
from stepforge.schemas.errors import BadInput

SUMS = "SHA256SUMS"
NAME = re.compile(r"[A-Za-z0-9_][\w.=+-]*", re.ASCII)
PART = re.compile(r"[a-z]+-\d{5}-of-\d{5}\.(?:parquet|jsonl)", re.ASCII)
BLOCK = 1 << 20


class LocalFile(NamedTuple):
    path: str
    """In the repository, with forward slashes."""
    size: int
    sha256: str
    blob_id: str
    """Git's content id: how the Hub identifies a file that is not stored as LFS."""
    source: Path | bytes


class LocalDataset(NamedTuple):
    files: dict[str, LocalFile]
    rows: dict[str, dict[str, int]]
    """Data set -> split -> rows."""
    card: Card

    @property
    def digest(self) -> str:
        return self.files[SUMS].sha256[:12]

    def with_kept(self, kept: str) -> "LocalDataset":
        """Return the same with other people's text in the card."""
        card = self.card._replace(kept=kept)
        others = [file for path, file in self.files.items() if path not in (CARD, SUMS)]
        return LocalDataset(_with_sums([*others, _from_bytes(CARD, card.text.encode())]), self.rows, card)


def listed_files(run: RunFile, layout: Layout) -> dict[str, FileStamp]:
    """Return the files that the run wrote into ``datasets/``, by their path there, as its stamps list them.

    Raises BadInput: a stamp is missing or damaged, or names what cannot be a file of a data set.
    """
    listed: dict[str, FileStamp] = {}
    for name in (export.name for export in run.export):
        made = read_stamp(stamp_file(layout, name))
        if made is None:
            remedy = "run the same `stepforge run` command to resume"
            raise BadInput(f"{stamp_file(layout, name)}: missing or damaged; {remedy}")
        listed |= {f"{name}/{file}": stamp for file, stamp in made.files.items()}
    card = read_stamp(card_stamp_file(layout))
    if card is None or CARD not in card.files:
        raise BadInput(f"{card_stamp_file(layout)}: missing or damaged; {_card_anew(layout)}")
    if card.inputs != described_files(listed):
        raise BadInput(f"{layout.datasets / CARD}: does not describe the existing data sets; {_card_anew(layout)}")
    listed |= card.files
    for path in listed:
        if path == SUMS or not all(NAME.fullmatch(name) for name in path.split("/")) or path.count("/") > 1:
            raise BadInput(f"{layout.datasets}: {path!a} cannot be a file of a data set; nothing was published")
    return listed


@contextmanager
def local_folder(run: RunFile, layout: Layout) -> Iterator[Path]:
    """Yield the data sets as a local folder: the run's own, or, for a run in a store, a copy of the listed files."""
    if isinstance(layout.datasets, Path):
        yield layout.datasets
        return
    with TemporaryDirectory(prefix="stepforge-publish-") as scratch:
        for path in listed_files(run, layout):
            copy = Path(scratch, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((layout.datasets / path).read_bytes())
        yield Path(scratch)


def read_dataset(run: RunFile, layout: Layout, folder: Path, token: SecretStr | None) -> LocalDataset:
    """Check every file in ``local_folder`` and return the whole, checksums computed; no file may contain ``token``.

    Raises BadInput: something is missing or damaged, or does not belong there; the line names it.
    """
    listed = listed_files(run, layout)
    _check_nothing_else(layout, listed)
    files = [_local_file(folder, path, token) for path in sorted(listed)]
    for file in files:
        if file.path != CARD and file.sha256 != listed[file.path].sha256:
            name, remedy = file.path.split("/")[0], _card_anew(layout)
            if name in {export.name for export in run.export}:
                remedy = f"delete {layout.datasets}/{name} and run the same `stepforge run` command, which recreates it"
            raise BadInput(f"{folder / file.path}: damaged, not as written; {remedy}")
    card = _checked_card(run, layout, listed[CARD])
    counts = {export.name: rows_by_split(layout, export.name) for export in run.export}
    rows = {name: found for name, by in counts.items() if (found := {split: n for split, n in by.items() if n})}
    if not rows:
        raise BadInput(f"{folder}: no data set has a row; there is nothing to publish")
    return LocalDataset(_with_sums(files), rows, card)


def _check_nothing_else(layout: Layout, listed: Mapping[str, FileStamp]) -> None:
    """Names that begin with a dot are work in progress and are skipped."""
    for path in sorted(layout.datasets.rglob("*")):
        inside = str(path).removeprefix(f"{layout.datasets}/")
        if any(name.startswith(".") for name in inside.split("/")) or (isinstance(path, Path) and path.is_dir()):
            continue
        if inside not in listed:
            raise BadInput(f"{path}: not written by this run; move it away")


def _checked_card(run: RunFile, layout: Layout, stamp: FileStamp) -> Card:
    """The card must be ours except for the kept section, and list the files of every data set."""
    path = layout.datasets / CARD
    try:
        card = read_card(read_small(path, CARD_BYTES).decode())
    except (OSError, ValueError) as error:
        reason = "missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise BadInput(f"{path}: {reason}; {_card_anew(layout)}") from None
    if card is None or not card.intact or stamp_of_text(card.rest) != stamp:
        raise BadInput(
            f"{path}: damaged, or changed outside its kept section; {_card_anew(layout)}, and keeps this text"
        )
    if not card.rest.startswith(card_head(run, layout)):
        raise BadInput(f"{path}: does not describe the existing data sets; {_card_anew(layout)}")
    return card


def _card_anew(layout: Layout) -> str:
    return f"`stepforge report {layout.folder}` rewrites the card"


def _local_file(folder: Path, name: str, token: SecretStr | None) -> LocalFile:
    path = folder / name
    secret, before = token.get_secret_value().encode() if token else b"", b""
    try:
        file = os.fdopen(open_regular(path), "rb")
    except FileNotFoundError:
        raise BadInput(f"{path}: missing; the same `stepforge run` command recreates it") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        sha256, blob = hashlib.sha256(), _blob(size)
        while block := file.read(BLOCK):
            sha256.update(block)
            blob.update(block)
            if secret and secret in before + block:  # compressed pages hide text, cards and JSONL do not
                raise BadInput(f"{path}: contains the Hub token; remove it from the run's settings and recreate it")
            before = block[-len(secret) :]
    return LocalFile(name, size, sha256.hexdigest(), blob.hexdigest(), path)


def _with_sums(files: list[LocalFile]) -> dict[str, LocalFile]:
    files = sorted(files, key=lambda file: file.path)
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files).encode()
    return {file.path: file for file in [*files, _from_bytes(SUMS, sums)]}


def _from_bytes(path: str, content: bytes) -> LocalFile:
    blob = _blob(len(content))
    blob.update(content)
    return LocalFile(path, len(content), hashlib.sha256(content).hexdigest(), blob.hexdigest(), content)


def _blob(size: int) -> "hashlib._Hash":
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
