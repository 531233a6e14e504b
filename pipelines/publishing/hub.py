"""One data set repository on the Hub, as a token sees it: read, written, verified."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_url
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status
from pydantic import SecretStr

from stepforge.pipelines.publishing.hub_calls import MOVED, HubCalls, status_of
from stepforge.pipelines.publishing.local_dataset import SUMS, LocalFile
from stepforge.pipelines.publishing.ownership import listed_sums
from stepforge.pipelines.publishing.plan import Remote, RemoteFile, version_of
from stepforge.pipelines.settings.digest import VERSION
from stepforge.schemas.errors import RunFailed

T = TypeVar("T")
DATASET = "dataset"
MAIN = "main"


class HubRepo:
    """A repository. Listing and uploading retry inside ``huggingface_hub``, the other calls in ``HubCalls``.

    Every method raises ``BadInput`` or ``RunFailed`` with one line, as ``HubCalls`` says.
    """

    def __init__(self, repo: str, endpoint: str, token: SecretStr, note: Callable[[str], None]) -> None:
        self.repo = repo
        self._calls = HubCalls(repo, token, note)
        self._secret = token.get_secret_value()
        self._api = HfApi(endpoint=endpoint, token=self._secret, library_name="stepforge", library_version=VERSION)

    def look(self) -> Remote | None:
        """Return the state of the repository; None if there is none, or none that this token can see."""
        private = self.is_private()
        if private is None:
            return None
        refs = self._patiently("listing branches and tags", self._api.list_repo_refs)
        head = next((branch.target_commit for branch in refs.branches if branch.name == MAIN), None)
        version = max((version_of(ref.name) for ref in refs.tags), default=0)
        files = self.files(head) if head else {}
        return Remote(
            private=private,
            head=head,
            files=files,
            version=version,
            tagged=self.commit_at(f"v{version}") if version else None,
            ours=listed_sums(self.read(SUMS, head).decode(errors="replace")) if head and SUMS in files else {},
        )

    def files(self, revision: str) -> dict[str, RemoteFile]:
        def listed() -> list[Any]:
            return list(self._api.list_repo_tree(self.repo, recursive=True, revision=revision, repo_type=DATASET))

        return {
            entry.path: RemoteFile(entry.blob_id, entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in self._calls.once("listing files", listed)
            if isinstance(entry, RepoFile)
        }

    def commit_at(self, revision: str) -> str:
        info = self._patiently(f"looking at {revision}", self._api.repo_info, revision=revision, expand=["sha"])
        return str(info.sha)

    def create(self) -> None:
        """Create the repository, private, unless it exists by now."""
        create = self._api.create_repo
        self._patiently("creating the repository", create, writes=True, private=True, exist_ok=True)

    def upload(self, files: Sequence[LocalFile]) -> list[CommitOperationAdd]:
        """Send those files that the Hub keeps as LFS and does not have, and return the operations that add them all.

        They are not visible before they are committed.
        """
        additions = [CommitOperationAdd(file.path, file.source) for file in files]

        def send() -> None:
            self._api.preupload_lfs_files(self.repo, additions, repo_type=DATASET, revision=MAIN, free_memory=False)

        self._calls.once("uploading", send, writes=True)
        for file, addition in zip(files, additions, strict=True):
            if addition.upload_info.sha256.hex() != file.sha256:
                raise RunFailed(f"{file.path}: changed while being published; nothing was committed, publish again")
        return additions

    def commit(
        self,
        operations: Sequence[CommitOperationAdd | CommitOperationDelete],
        *,
        parent: str | None,
        message: tuple[str, str],
        holds: Mapping[str, LocalFile],
        lacks: Collection[str] = (),
    ) -> str:
        """Commit to main only on top of ``parent``; verify the result, and return the commit.

        An attempt whose answer was lost may have gone through, so main is checked before another attempt. ``message``:
        title and description; ``holds`` and ``lacks``: files that main must hold afterwards, and must not hold.
        Raises RunFailed: main has moved, or the Hub failed; main is as it was, or holds the whole commit.
        """

        def attempt() -> str:
            info = self._api.create_commit(
                self.repo,
                operations,
                commit_message=message[0],
                commit_description=message[1],
                repo_type=DATASET,
                revision=MAIN,
                parent_commit=parent,
            )
            return str(info.oid)

        def landed() -> str | None:
            head = self.commit_at(MAIN)
            if head != parent and self.differences(head, holds, lacks):
                raise RunFailed(f"{self.repo}: {MOVED}")
            return None if head == parent else head

        commit = self._calls.patiently(f"committing to {MAIN}", attempt, writes=True, before_another=landed)
        if wrong := self.differences(commit, holds, lacks):
            raise RunFailed(
                f"{self.repo}: commit {commit[:8]} does not hold what was sent ({wrong[0]}, "
                f"{len(wrong)} files); see docs/how-to/publishing.md on rolling back to {(parent or 'nothing')[:8]}"
            )
        return commit

    def differences(self, revision: str, holds: Mapping[str, LocalFile], lacks: Collection[str] = ()) -> list[str]:
        """Return the paths at which a revision is wrong, by the Hub's own checksums."""
        there = self.files(revision)
        wrong = [path for path, file in holds.items() if path not in there or not there[path].holds(file)]
        return sorted([*wrong, *(path for path in lacks if path in there)])

    def tag(self, name: str, commit: str) -> None:
        """Tag a commit, and check that the tag points to it."""
        create = self._api.create_tag
        self._patiently(f"tagging {name}", create, writes=True, tag=name, revision=commit, exist_ok=True)
        if self.commit_at(name) != commit:
            raise RunFailed(f"{self.repo}: the tag {name} was set to another commit in the meantime; publish again")

    def make_public(self) -> None:
        self._patiently("making the repository public", self._api.update_repo_settings, writes=True, private=False)

    def is_private(self) -> bool | None:
        """Return whether the repository is private; None if this token can see none."""

        def privacy() -> bool | None:
            try:
                return bool(self._api.dataset_info(self.repo, expand=["private"]).private)
            except RepositoryNotFoundError as error:
                if status_of(error) == 404:
                    return None
                raise  # 401: the token is not accepted

        return self._calls.patiently("looking at the repository", privacy)

    def read(self, path: str, revision: str) -> bytes:
        url = hf_hub_url(self.repo, path, repo_type=DATASET, revision=revision, endpoint=self._api.endpoint)

        def content() -> bytes:
            answer = get_session().get(url, headers=build_hf_headers(token=self._secret))
            hf_raise_for_status(answer)
            return bytes(answer.content)

        return self._calls.patiently(f"reading {path}", content)

    def _patiently(self, doing: str, call: Callable[..., T], *, writes: bool = False, **given: object) -> T:
        """Make a call about this repository."""
        return self._calls.patiently(doing, lambda: call(self.repo, repo_type=DATASET, **given), writes=writes)
