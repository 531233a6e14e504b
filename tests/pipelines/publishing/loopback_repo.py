"""A repository of the loopback Hub: files, commits, branches and tags, kept in memory."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class File:
    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return text.encode() if self.lfs else self.content

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.pointer) + self.pointer, usedforsecurity=False).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        lfs = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        return {**entry, "lfs": lfs} if self.lfs else entry


@dataclass
class Commit:
    files: dict[str, File]
    parent: str | None
    title: str
    description: str = ""


@dataclass
class Repo:
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"
        self.add("main", Commit({".gitattributes": File(rules, lfs=False)}, None, "initial commit"))

    def add(self, branch: str, commit: Commit) -> str:
        sha = hashlib.sha1(repr((len(self.commits), commit)).encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = commit
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str:
        found = self.branches.get(revision) or self.tags.get(revision) or revision
        if found not in self.commits:
            raise Refused(404, "no such revision", "RevisionNotFound")
        return found

    @property
    def main(self) -> Commit:
        return self.commits[self.branches["main"]]

    @property
    def main_history(self) -> list[Commit]:
        """Everything that main ever was, latest first."""
        history = [self.main]
        while history[-1].parent:
            history.append(self.commits[history[-1].parent])
        return history


def ref(full: str, name: str, sha: str) -> dict[str, str]:
    return {"name": name, "ref": full, "targetCommit": sha}


def upload_mode(file: dict[str, Any], there: dict[str, File]) -> dict[str, Any]:
    path = file["path"]
    known = there[path].sha256 if path in there and there[path].lfs else there[path].oid if path in there else None
    way = "lfs" if path.endswith(".parquet") or file["size"] > 10_000_000 else "regular"
    return {"path": path, "uploadMode": way, "shouldIgnore": False, "oid": known}
