"""The plan of one publication, derived from what lies on both sides and from nothing else.

Deriving it again is how an interrupted publication goes on, and why publishing twice does nothing the second time.
"""

from dataclasses import dataclass
from functools import cached_property

from stepforge.pipelines.publishing.local_dataset import LocalDataset, LocalFile
from stepforge.pipelines.publishing.remote import STAGING, Remote, RemoteFile
from stepforge.pipelines.publishing.request import PublishRequest
from stepforge.schemas.errors import BadInput

FILES_PER_COMMIT = 100
"""The Hub asks for fewer than about a hundred files in a commit."""
DATA_SUFFIXES = (".parquet", ".jsonl", ".json", ".csv", ".tsv", ".arrow", ".gz", ".zst", ".zip", ".tar")
BY_THE_HUB = ".gitattributes"


@dataclass(frozen=True)
class Plan:
    """What would be created, uploaded, removed, tagged and shown to whom."""

    request: PublishRequest
    local: LocalDataset
    remote: Remote | None
    """None: the repository does not exist, or this token cannot see it."""

    @cached_property
    def new(self) -> list[LocalFile]:
        """Files that the repository does not hold."""
        return [file for path, file in self.local.files.items() if path not in self._there]

    @cached_property
    def changed(self) -> list[LocalFile]:
        """Files that it holds with another content."""
        there = self._there
        return [file for path, file in self.local.files.items() if path in there and not there[path].holds(file)]

    @cached_property
    def removed(self) -> list[str]:
        """Files of an earlier publication that are no more."""
        ours = self.remote.ours if self.remote else {}
        return sorted((ours.keys() & self._there.keys()) - self.local.files.keys() - {BY_THE_HUB})

    @cached_property
    def kept(self) -> list[str]:
        """Files that somebody else put there; left as they are."""
        return sorted(self._there.keys() - self.local.files.keys() - set(self.removed) - {BY_THE_HUB})

    @property
    def uploads(self) -> list[LocalFile]:
        return [*self.new, *self.changed]

    @property
    def writes(self) -> bool:
        return bool(self.uploads or self.removed)

    @property
    def staged(self) -> bool:
        return len(self.uploads) > FILES_PER_COMMIT

    @property
    def branch(self) -> str:
        """The staging branch of this very content: a later attempt finds what an earlier one left there."""
        return STAGING + self.local.digest

    @property
    def tag(self) -> str | None:
        """The tag to set; None if main is tagged already and stays as it is."""
        wanted, remote = self.request.tag, self.remote
        if remote is None:
            return wanted or "v1"
        standing = not self.writes and remote.tagged is not None and remote.tagged == remote.head
        return None if standing and wanted in (None, remote.tag) else wanted or remote.next_version

    @property
    def reveals(self) -> bool:
        return self.request.public and (self.remote is None or self.remote.private)

    @property
    def stale_branches(self) -> list[str]:
        """Staging branches that earlier attempts left behind, to be deleted at the end."""
        return self.remote.staging if self.remote else []

    @property
    def nothing_to_do(self) -> bool:
        return not (self.writes or self.tag or self.reveals or self.stale_branches)

    @property
    def _there(self) -> dict[str, RemoteFile]:
        return self.remote.files if self.remote else {}

    def check(self) -> None:
        """Refuse what must not go to this repository.

        Raises BadInput: it is public and that was not asked for, the tag is taken, or others' data lie there.
        """
        repo, remote = self.request.repo, self.remote
        if remote is None:
            return
        if not remote.private and not self.request.public:
            raise BadInput(f"{repo} is public; give --public to publish there, or name another repository")
        if self.request.tag in remote.tags and self.tag is not None:
            raise BadInput(f"--tag {self.request.tag}: another version of {repo} has this tag; name a new one")
        foreign = [path for path in self.kept if path.endswith(DATA_SUFFIXES)]
        if foreign:
            raise BadInput(
                f"{repo}: {len(foreign)} data files there are not from stepforge ({foreign[0]!a}, ...); publish to a "
                "repository of its own, or remove them from this one first"
            )
