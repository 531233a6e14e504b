"""A Hub on loopback: as much of the public Hub's HTTP interface as publishing and ``load_dataset`` use.

Every request is logged and can be made to fail. Written from what ``huggingface_hub`` 2.4 and ``datasets`` 5.2 send.
"""

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from loopback_repo import Commit, File, Refused, Repo, ref, upload_mode

TOKEN = "hf_" + "Loopback" * 4
PAGE = 40
"""Entries of a file list per answer; small, so that listings have several pages."""
FAULTS = ("500", "429", "412", "timeout", "reset", "lost")
"""Or any other status. ``lost``: the request is carried out, and the connection breaks before the answer."""


@dataclass
class Fault:
    kind: str
    at: int
    """Number of the first call that fails, from 1."""
    lasting: bool = False
    """Whether later calls fail too."""


class LoopbackHub:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.authorised: list[str] = []
        """Paths of the requests that carried an authorization."""
        self.uploads: list[str] = []
        """Checksums of the blobs that were sent."""
        self.commits_sent = 0
        self.fault: Fault | None = None
        self.stall = 1.0
        """Seconds without an answer of a time-out."""
        self.blobs_at: str | None = None
        """Where blobs are to be sent instead of here."""
        self.on_call: Callable[[str, str], None] = lambda method, path: None
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def repo(self, name: str) -> Repo:
        if name not in self.repos:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.repos[name]

    def fails_now(self) -> str | None:
        fault, count = self.fault, len(self.calls)
        return fault.kind if fault and (count == fault.at or (fault.lasting and count > fault.at)) else None


@contextmanager
def loopback_hub() -> Iterator[LoopbackHub]:
    hub = LoopbackHub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def answer(self) -> None:
        hub = self.hub
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path
        with hub.lock:
            hub.calls.append((self.command, unquote(path)))
            hub.on_call(self.command, unquote(path))
            if "authorization" in self.headers:
                hub.authorised.append(unquote(path))
            failing = hub.fails_now()
            if failing in ("timeout", "reset"):
                pass
            elif failing and failing.isdigit():
                result: tuple[int, Any, dict[str, str]] = (int(failing), {"error": f"injected {TOKEN}"}, {})
            else:
                result = self.routed([unquote(part) for part in path.strip("/").split("/")], body)
        if failing in ("timeout", "reset", "lost"):
            self.break_off(failing)
        else:
            self.send(*result)

    def routed(self, path: list[str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        try:
            if path[0] != "blobs" and self.headers.get("authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "Invalid credentials in Authorization header")
            return self.route(path, body)
        except Refused as refused:
            return refused.status, {"error": refused.message}, {"X-Error-Code": refused.code} if refused.code else {}

    def route(self, path: list[str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        match self.command, path:
            case "POST", ["api", "repos", "create"]:
                return self.create(json.loads(body))
            case "POST", ["api", "validate-yaml"]:
                return self.validate(json.loads(body)["content"])
            case "PUT", ["blobs", oid]:
                return self.keep_blob(oid, body)
            case "POST", ["blobs", oid, "verify"]:
                return 200 if oid in self.hub.blobs else 404, {}, {}
            case "POST", ["datasets", owner, name, "info", "lfs", "objects", "batch"]:
                self.hub.repo(f"{owner}/{name.removesuffix('.git')}")
                return 200, {"transfer": "basic", "objects": self.batch(json.loads(body)["objects"])}, {}
            case (("GET" | "HEAD"), ["datasets", owner, name, "resolve", revision, *file]):
                return self.content(self.hub.repo(f"{owner}/{name}"), revision, "/".join(file))
            case command, ["api", "datasets", owner, name, *rest]:
                return self.about(command, f"{owner}/{name}", self.hub.repo(f"{owner}/{name}"), rest, body)
        raise Refused(404, f"no such endpoint: {self.command} {'/'.join(path)}")

    def about(
        self, command: str, name: str, repo: Repo, rest: list[str], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        match command, rest:
            case "GET", [] | ["revision", _]:
                sha = repo.resolve(rest[1] if rest else "main")
                siblings = [{"rfilename": path} for path in repo.commits[sha].files]
                return 200, {"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "tags": []}, {}
            case "GET", ["refs"]:
                branches = [ref(f"refs/heads/{key}", key, sha) for key, sha in repo.branches.items()]
                tags = [ref(f"refs/tags/{key}", key, sha) for key, sha in repo.tags.items()]
                return 200, {"branches": branches, "tags": tags, "converts": []}, {}
            case "GET", ["tree", revision, *folder]:
                return self.tree(repo.commits[repo.resolve(revision)], "/".join(folder))
            case "POST", ["paths-info", revision]:
                files = repo.commits[repo.resolve(revision)].files
                asked = parse_qs(body.decode())["paths"]
                return 200, [files[path].entry(path) for path in asked if path in files], {}
            case "POST", ["preupload", revision]:
                files = repo.commits[repo.resolve(revision)].files
                return 200, {"files": [upload_mode(file, files) for file in json.loads(body)["files"]]}, {}
            case "POST", ["commit", revision]:
                return 200, self.commit(name, repo, revision, [json.loads(line) for line in body.splitlines()]), {}
            case "POST", ["tag", revision]:
                name = json.loads(body)["tag"]
                if name in repo.tags:
                    raise Refused(409, f"Reference already exists: {name}")
                repo.tags[name] = repo.resolve(revision)
                return 200, {}, {}
            case "PUT", ["settings"]:
                repo.private = json.loads(body)["visibility"] == "private"
                return 200, {}, {}
        raise Refused(404, f"no such endpoint: {command} {'/'.join(rest)}")

    def create(self, wish: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        name = f"{wish['organization']}/{wish['name']}"
        answer = {"url": f"{self.hub.address}/datasets/{name}", "id": name}
        if name in self.hub.repos:
            return 409, {"error": "You already created this dataset repo", **answer}, {}
        self.hub.repos[name] = Repo(private=wish.get("visibility") == "private")
        return 200, answer, {}

    def validate(self, card: str) -> tuple[int, Any, dict[str, str]]:
        try:
            yaml.safe_load(card.split("---")[1])
        except (IndexError, yaml.YAMLError) as error:
            return 400, {"errors": [{"message": str(error)}], "warnings": []}, {}
        return 200, {"errors": [], "warnings": []}, {}

    def batch(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        home = self.hub.blobs_at or self.hub.address
        return [
            {"oid": o["oid"], "size": o["size"]}
            | ({} if o["oid"] in self.hub.blobs else {"actions": {
                "upload": {"href": f"{home}/blobs/{o['oid']}"},
                "verify": {"href": f"{home}/blobs/{o['oid']}/verify"},
            }})
            for o in wanted
        ]  # fmt: skip

    def keep_blob(self, oid: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if hashlib.sha256(body).hexdigest() != oid:
            raise Refused(400, "checksum does not match")
        self.hub.blobs[oid] = body
        self.hub.uploads.append(oid)
        return 200, b"", {"ETag": oid}

    def commit(self, name: str, repo: Repo, branch: str, lines: list[dict[str, Any]]) -> dict[str, str]:
        header, *operations = lines
        head = repo.branches.get(branch)
        if head is None:
            raise Refused(404, "no such branch", "RevisionNotFound")
        if header["value"].get("parentCommit") not in (None, head):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[head].files)
        for operation in operations:
            self.apply(operation["key"], operation["value"], files)
        self.hub.commits_sent += 1
        sha = repo.add(branch, Commit(files, head, header["value"]["summary"], header["value"]["description"]))
        return {"commitUrl": f"{self.hub.address}/datasets/{name}/commit/{sha}", "commitOid": sha}

    def apply(self, key: str, value: dict[str, Any], files: dict[str, File]) -> None:
        path = value["path"]
        if key == "file":
            files[path] = File(base64.b64decode(value["content"]), lfs=False)
        elif key == "lfsFile":
            if value["oid"] not in self.hub.blobs:
                raise Refused(400, f"LFS pointer of {path} points to a file that does not exist")
            files[path] = File(self.hub.blobs[value["oid"]], lfs=True)
        elif key == "deletedFile" and path in files:
            del files[path]
        else:
            raise Refused(404, f"cannot apply {key} to {path}", "EntryNotFound")

    def tree(self, commit: Commit, folder: str) -> tuple[int, Any, dict[str, str]]:
        query = parse_qs(urlsplit(self.path).query)
        prefix = f"{folder}/" if folder else ""
        inside = {path: file for path, file in sorted(commit.files.items()) if path.startswith(prefix)}
        if folder and not inside:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        entries = [file.entry(path) for path, file in inside.items() if "/" not in path.removeprefix(prefix)]
        if query.get("recursive") in (["true"], ["True"]):
            entries = [file.entry(path) for path, file in inside.items()]
        else:
            below = {path.removeprefix(prefix).split("/")[0] for path in inside if "/" in path.removeprefix(prefix)}
            entries += [{"type": "directory", "path": prefix + name, "oid": "0" * 40, "size": 0} for name in below]
        start = int(query.get("cursor", ["0"])[0])
        address = f"{self.hub.address}{urlsplit(self.path).path}"
        more = {"Link": f'<{address}?recursive=true&cursor={start + PAGE}>; rel="next"'}
        return 200, entries[start : start + PAGE], more if start + PAGE < len(entries) else {}

    def content(self, repo: Repo, revision: str, path: str) -> tuple[int, Any, dict[str, str]]:
        sha = repo.resolve(revision)
        file = repo.commits[sha].files.get(path)
        if file is None:
            raise Refused(404, f"{path} does not exist", "EntryNotFound")
        tag = file.sha256 if file.lfs else file.oid
        return 200, file.content, {"X-Repo-Commit": sha, "ETag": f'"{tag}"'}

    def send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if not isinstance(answer, bytes):
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def break_off(self, kind: str) -> None:
        """End without an answer: in silence, or with a reset."""
        if kind == "timeout":
            time.sleep(self.hub.stall)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
