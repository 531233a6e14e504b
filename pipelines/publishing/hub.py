"""One data set repository on the Hub, as a token sees it: read, written, verified."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from stepforge.pipelines.publishing.hub_calls import HubCalls
from stepforge.pipelines.publishing.hub_errors import MOVED, status_of
from stepforge.pipelines.publishing.local_dataset import SUMS, LocalFile
from stepforge.pipelines.publishing.ownership import listed_sums
from stepforge.pipelines.publishing.plan import Remote, RemoteFile, latest_version
from stepforge.pipelines.settings.digest import VERSION
from stepforge.schemas.errors import RunFailed

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

DATASET = "dataset"
MAIN = "main"


class HubRepo:
    """A repository. Listing and uploading retry inside ``huggingface_hub``, the other calls in ``HubCalls``.

    Every method raises ``BadInput`` or ``RunFailed`` with one line, as ``HubCalls`` says.
    """

    def __init__(self, repo: str, endpoint: str, token: SecretStr, note: Callable[[str], None]) -> None:
        from huggingface_hub import HfApi

        self.repo = repo
        self._calls = HubCalls(repo, token, note)
        self._token = token
        secret = token.get_secret_value()
        self._api = HfApi(endpoint=endpoint, token=secret, library_name="stepforge", library_version=VERSION)

    def look(self, tag: str | None) -> Remote | None:
        """State of the repository; None if there is none, or none that this token can see.

        Args:
            tag: The version to look up; if None or not there, the latest one.
        """
        private = self.is_private()
        if private is None:
            return None
        refs = self._calls.patiently(
            "listing branches and tags", lambda: self._api.list_repo_refs(self.repo, repo_type=DATASET)
        )
        head = next((branch.target_commit for branch in refs.branches if branch.name == MAIN), None)
        tags = frozenset(ref.name for ref in refs.tags)
        standing = tag if tag in tags else latest_version(tags)
        files = self.files(head) if head else {}
        return Remote(
            private=private,
            head=head,
            files=files,
            tags=tags,
            tag=standing,
            tagged=self.commit_at(standing) if standing else None,
            ours=listed_sums(self.read(SUMS, head).decode(errors="replace")) if head and SUMS in files else {},
        )

    def files(self, revision: str) -> dict[str, RemoteFile]:
        from huggingface_hub.hf_api import RepoFile

        def listed() -> list[Any]:
            return list(self._api.list_repo_tree(self.repo, recursive=True, revision=revision, repo_type=DATASET))

        return {
            entry.path: RemoteFile(entry.blob_id, entry.size, entry.lfs.sha256 if entry.lfs else None)
            for entry in self._calls.once("listing files", listed)
            if isinstance(entry, RepoFile)
        }

    def commit_at(self, revision: str) -> str:
        info = self._calls.patiently(
            f"looking at {revision}", lambda: self._api.dataset_info(self.repo, revision=revision, expand=["sha"])
        )
        return str(info.sha)

    def create(self) -> None:
        """Create the repository, private, unless it exists by now."""
        self._calls.patiently(
            "creating the repository",
            lambda: self._api.create_repo(self.repo, repo_type=DATASET, private=True, exist_ok=True),
            writes=True,
        )

    def upload(self, files: Sequence[LocalFile]) -> list["CommitOperationAdd"]:
        """Send those files that the Hub keeps as LFS and does not have, and return the operations that add them all.

        They are not visible before they are committed.
        """
        from huggingface_hub import CommitOperationAdd

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
        operations: "Sequence[CommitOperationAdd | CommitOperationDelete]",
        *,
        parent: str | None,
        message: tuple[str, str],
        holds: Mapping[str, LocalFile],
        lacks: Collection[str] = (),
    ) -> str:
        """Commit to main only on top of ``parent``; verify the result, and return the commit.

        An attempt whose answer was lost may have gone through, so main is checked before another attempt.

        Args:
            operations: What changes.
            parent: The head of main as the plan knows it; None if it has no commit.
            message: Title and description.
            holds: Files that main must hold afterwards, and in ``lacks`` paths that it must not hold.

        Raises:
            RunFailed: main has moved, or the Hub failed; main is as it was, or holds the whole commit.
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
        self._calls.patiently(
            f"tagging {name}",
            lambda: self._api.create_tag(self.repo, tag=name, revision=commit, repo_type=DATASET, exist_ok=True),
            writes=True,
        )
        if self.commit_at(name) != commit:
            raise RunFailed(f"{self.repo}: the tag {name} was set to another commit in the meantime; publish again")

    def make_public(self) -> None:
        self._calls.patiently(
            "making the repository public",
            lambda: self._api.update_repo_settings(self.repo, private=False, repo_type=DATASET),
            writes=True,
        )

    def is_private(self) -> bool | None:
        """Return whether the repository is private; None if this token can see none."""
        return self._calls.patiently("looking at the repository", self._privacy)

    def _privacy(self) -> bool | None:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return bool(self._api.dataset_info(self.repo, expand=["private"]).private)
        except RepositoryNotFoundError as error:
            if status_of(error) == 404:
                return None
            raise  # 401: the token is not accepted

    def read(self, path: str, revision: str) -> bytes:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(self.repo, path, repo_type=DATASET, revision=revision, endpoint=self._api.endpoint)

        def content() -> bytes:
            answer = get_session().get(url, headers=build_hf_headers(token=self._token.get_secret_value()))
            hf_raise_for_status(answer)
            return bytes(answer.content)

        return self._calls.patiently(f"reading {path}", content)
