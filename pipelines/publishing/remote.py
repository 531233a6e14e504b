"""What a repository on the Hub holds, as far as publishing needs to know."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from stepforge.pipelines.publishing.local_dataset import LocalFile

VERSION_TAG = re.compile(r"v(\d+)")
STAGING = "stepforge-staging-"
"""Branches of this name hold files on their way to main; they are ours to make and to delete."""


class RemoteFile(NamedTuple):
    """A file of one revision, identified by what the Hub says of its content."""

    blob_id: str
    size: int
    sha256: str | None
    """Of files kept as LFS; git's id is that of the pointer then."""

    def holds(self, file: LocalFile) -> bool:
        return file.sha256 == self.sha256 if self.sha256 is not None else file.blob_id == self.blob_id


class Remote(NamedTuple):
    """A repository that exists."""

    private: bool
    head: str | None
    """Commit of main; None where there is no commit yet."""
    files: dict[str, RemoteFile]
    branches: frozenset[str]
    tags: frozenset[str]
    tag: str | None
    """The tag asked for if it is there, else the latest version."""
    tagged: str | None
    """Commit that ``tag`` stands at."""
    ours: Mapping[str, str]
    """SHA-256 of the files that an earlier publication put there, by its list of checksums."""

    @property
    def next_version(self) -> str:
        return f"v{max(map(number_of, self.tags), default=0) + 1}"

    @property
    def staging(self) -> list[str]:
        return sorted(branch for branch in self.branches if branch.startswith(STAGING))


def number_of(tag: str) -> int:
    """Return N of a version tag vN, 0 of any other tag."""
    match = VERSION_TAG.fullmatch(tag)
    return int(match[1]) if match else 0


def latest_version(tags: frozenset[str]) -> str | None:
    return max((tag for tag in tags if number_of(tag)), key=number_of, default=None)
