"""The data sets as they lie in the run folder: which files there are, that they are whole, and their checksums.

What is published is exactly ``DIR/datasets`` without hidden files, plus ``SHA256SUMS``, a list in the format that
``sha256sum --check`` reads. That list also tells later publications which files of the repository are ours.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import SecretStr

from stepforge.pipelines.publishing.data_files import checked_rows
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput

SUMS = "SHA256SUMS"
CARD = "README.md"
DATA = (".parquet", ".jsonl")
BESIDE = (".md", ".svg", ".png", ".json", ".txt")
"""What may lie beside the data: the card and its figures."""
NAME = re.compile(r"[A-Za-z0-9_][\w.=+-]*", re.ASCII)
BLOCK = 1 << 20


class LocalFile(NamedTuple):
    """A file to be published."""

    path: str
    """In the repository, with forward slashes."""
    size: int
    sha256: str
    blob_id: str
    """What git calls the content: how the Hub identifies a file that it does not keep as LFS."""
    source: Path | bytes


class LocalDataset(NamedTuple):
    """Everything to be published."""

    files: dict[str, LocalFile]
    rows: dict[str, dict[str, int]]
    """Data set -> split -> rows, counted while the checksums were verified."""

    @property
    def digest(self) -> str:
        """Identifies the content of all files."""
        return self.files[SUMS].sha256[:12]


@contextmanager
def local_folder(layout: Layout) -> Iterator[Path]:
    """Give the data sets as a local folder: the run's own, or a copy where the run lies in a store."""
    if isinstance(layout.datasets, Path):
        yield layout.datasets
        return
    with TemporaryDirectory(prefix="stepforge-publish-") as scratch:
        for path in layout.datasets.rglob("*"):
            copy = Path(scratch, str(path).removeprefix(f"{layout.datasets}/"))
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        yield Path(scratch)


def read_dataset(run: RunFile, folder: Path, token: SecretStr | None) -> LocalDataset:
    """Check every file and return the whole, checksums computed.

    Args:
        run: The run's settings, which name the data sets.
        folder: Where they lie.
        token: Must not be in any file.

    Raises:
        BadInput: something is missing or damaged, or does not belong there; the line names it.
    """
    paths = list(_paths(folder))
    # One without rows has no folder; that none is missing otherwise, the export stamps say.
    there = [export for export in run.export if (folder / export.name).exists()]
    rows = {export.name: checked_rows(folder / export.name, export) for export in there}
    if not rows:
        raise BadInput(f"{folder}: no data set has a row; there is nothing to publish")
    for path in paths:
        _check_place(path, folder, set(rows))
    _check_card(folder / CARD, set(rows))
    files = [_local_file(path, folder, token) for path in paths]
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files).encode()
    files.append(LocalFile(SUMS, len(sums), _sha256(sums), _blob_id(sums), sums))
    return LocalDataset({file.path: file for file in files}, rows)


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the files in order of their path; names that begin with a dot are work in progress and left out."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        names = path.relative_to(folder).parts
        if any(name.startswith(".") for name in names):
            continue
        if path.is_symlink():
            raise BadInput(f"{path}: a symbolic link; only files that the run made are published, move it away")
        if not all(NAME.fullmatch(name) for name in names):
            raise BadInput(f"{path}: a name that does not belong in a data set; move it away")
        if path.is_file():
            yield path


def _check_place(path: Path, folder: Path, exports: set[str]) -> None:
    place = path.relative_to(folder).parts
    if place == (SUMS,):
        raise BadInput(f"{path}: is written while publishing; move this one away")
    if path.suffix in DATA and (len(place) != 2 or place[0] not in exports):
        raise BadInput(f"{path}: belongs to no export of this run; move it away")
    if path.suffix not in DATA + BESIDE:
        raise BadInput(f"{path}: not a file of a data set; move it away")


def _check_card(path: Path, exports: set[str]) -> None:
    """The card must say of every data set where its files are, or nobody can load them."""
    from huggingface_hub import DatasetCard

    try:
        configs = DatasetCard(path.read_text(encoding="utf-8")).data.get("configs") or []
        named = {str(config["config_name"]) for config in configs}
    except Exception as error:  # a YAML parser has errors of its own
        reason = "missing" if isinstance(error, FileNotFoundError) else "not a card that can be read"
        raise BadInput(f"{path}: {reason}; the same `stepforge run` command writes it anew") from None
    if named != exports:
        wrong = ", ".join(sorted(named ^ exports))
        raise BadInput(f"{path}: does not describe the data sets there are ({wrong}); run again")


def _local_file(path: Path, folder: Path, token: SecretStr | None) -> LocalFile:
    size = path.stat().st_size
    sha256, blob, before = hashlib.sha256(), _blob(size), b""
    secret = token.get_secret_value().encode() if token is not None else None
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
            blob.update(block)
            if secret is not None and secret in before + block:  # compressed pages hide text, cards and JSONL do not
                raise BadInput(f"{path}: holds the Hub token; take it out of the run's settings and make it anew")
            before = block[-len(secret) :] if secret is not None else b""
    return LocalFile(path.relative_to(folder).as_posix(), size, sha256.hexdigest(), blob.hexdigest(), path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob_id(content: bytes) -> str:
    blob = _blob(len(content))
    blob.update(content)
    return blob.hexdigest()


def _blob(size: int) -> "hashlib._Hash":
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
