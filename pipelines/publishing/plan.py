"""The plan of one publication, derived only from the state of both sides.

Deriving it again is how an interrupted publication resumes, and why publishing twice does nothing the second time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from huggingface_hub.utils import HFValidationError, validate_repo_id

from stepforge.pipelines.publishing.local_dataset import LocalDataset, LocalFile
from stepforge.schemas.errors import BadInput

VERSION_TAG = re.compile(r"v([1-9][0-9]*)")
DATA_SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".arrow", ".gz", ".zst", ".zip", ".tar")
BY_THE_HUB = ".gitattributes"


@dataclass(frozen=True)
class PublishRequest:
    repo: str
    """``ORG/NAME`` of a data set repository."""
    public: bool = False
    accept_unknown_license: bool = False

    def check(self) -> None:
        """Raise ``BadInput`` unless the name can be one on the Hub."""
        try:
            validate_repo_id(self.repo)
            named = self.repo.count("/") == 1
        except HFValidationError:
            named = False
        if not named:
            raise BadInput("--repo: must be ORG/NAME, of letters, digits, '-', '_' and '.', such as my-org/step-labels")

    def check_licenses(self, licenses: dict[str, str | None]) -> None:
        """Raise ``BadInput`` if the data would become public and a source's license is unknown."""
        unknown = [name for name, license in licenses.items() if license is None]
        if self.public and unknown and not self.accept_unknown_license:
            raise BadInput(
                f"--public: the license of {', '.join(unknown)} is unknown; set `license` of the problem set in the "
                "run file, or pass --accept-unknown-license if you know that you may publish it"
            )


class RemoteFile(NamedTuple):
    """A file of one revision, identified by the Hub's content ids."""

    blob_id: str
    size: int
    sha256: str | None
    """For files stored as LFS; git's id is then that of the pointer."""

    def holds(self, file: LocalFile) -> bool:
        return file.sha256 == self.sha256 if self.sha256 is not None else file.blob_id == self.blob_id


class Remote(NamedTuple):
    """A repository that exists."""

    private: bool
    head: str | None
    """Commit of main; None if there is no commit yet."""
    files: dict[str, RemoteFile]
    version: int
    """N of the latest version tag vN; 0 if there is none."""
    tagged: str | None
    """Commit that this tag points to."""
    ours: Mapping[str, str]
    """SHA-256 of the files that an earlier publication put there, by its list of checksums."""


def version_of(tag: str) -> int:
    """Return N of a version tag vN, 0 of any other tag."""
    match = VERSION_TAG.fullmatch(tag)
    return int(match[1]) if match else 0


@dataclass(frozen=True)
class Plan:
    """What would be created, uploaded, removed, tagged and made visible."""

    request: PublishRequest
    local: LocalDataset
    remote: Remote | None
    """None: the repository does not exist, or this token cannot see it."""

    @cached_property
    def new(self) -> list[LocalFile]:
        return [file for path, file in self.local.files.items() if path not in self._there]

    @cached_property
    def changed(self) -> list[LocalFile]:
        there = self._there
        return [file for path, file in self.local.files.items() if path in there and not there[path].holds(file)]

    @cached_property
    def removed(self) -> list[str]:
        ours = self.remote.ours if self.remote else {}
        return sorted((ours.keys() & self._there.keys()) - self.local.files.keys() - {BY_THE_HUB})

    @cached_property
    def kept(self) -> list[str]:
        return sorted(self._there.keys() - self.local.files.keys() - set(self.removed) - {BY_THE_HUB})

    @property
    def uploads(self) -> list[LocalFile]:
        return [*self.new, *self.changed]

    @property
    def writes(self) -> bool:
        return bool(self.uploads or self.removed)

    @property
    def tag(self) -> str | None:
        """The tag to set; None if main is already tagged and does not change."""
        if self.remote is None:
            return "v1"
        standing = not self.writes and self.remote.tagged is not None and self.remote.tagged == self.remote.head
        return None if standing else f"v{self.remote.version + 1}"

    @property
    def reveals(self) -> bool:
        return self.request.public and (self.remote is None or self.remote.private)

    @property
    def _there(self) -> dict[str, RemoteFile]:
        return self.remote.files if self.remote else {}

    def check(self) -> None:
        """Refuse what must not go to this repository.

        Raises BadInput: it is public without --public, or it has other people's data.
        """
        repo, remote = self.request.repo, self.remote
        if remote is None:
            return
        if not remote.private and not self.request.public:
            raise BadInput(f"{repo} is public; pass --public to publish there, or name another repository")
        foreign = [path for path in self.kept if path.endswith(DATA_SUFFIXES)]
        if foreign:
            raise BadInput(
                f"{repo}: {len(foreign)} data files there are not from stepforge ({foreign[0]!a}, ...); publish to a "
                "separate repository, or remove them from this one first"
            )
