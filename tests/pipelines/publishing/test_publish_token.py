"""Where the token goes and where it never shows; what each refusal of the Hub says."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hub_setup import REPO, published
from loopback_hub import TOKEN, Fault, LoopbackHub, loopback_hub
from pydantic import SecretStr

from stepforge.pipelines.publishing.endpoint import hub_endpoint
from stepforge.pipelines.publishing.hub_token import redacted, redacted_logs
from stepforge.schemas.errors import BadInput, RunFailed


@pytest.mark.parametrize(
    "address",
    ["http://huggingface.co", "http://10.0.0.7:80", "ftp://127.0.0.1", "https://me:secret@huggingface.co", "https://",
     "huggingface.co", "https://h.co/?token=x", "http://127.0.0.1.evil.org", "http://[::1", "http://localhost:x"],
)  # fmt: skip
def test_the_token_goes_to_https_or_loopback_only(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(BadInput, match="HF_ENDPOINT") as refused:
        hub_endpoint()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["https://hub.my.org", "http://127.0.0.1:9/", "http://localhost:9", "http://[::1]:9"]
)
def test_safe_addresses(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert hub_endpoint() == address.rstrip("/")
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub_endpoint() == "https://huggingface.co"


def test_another_server_that_the_hub_names_gets_no_token(run: Path, hub: LoopbackHub) -> None:
    with loopback_hub() as storage:
        storage.blobs = hub.blobs
        hub.blobs_at = storage.address
        published(run)
    assert len(storage.uploads) == 7
    assert any(path.endswith("/verify") for _, path in storage.calls)
    assert storage.authorised == []
    assert hub.authorised


def test_a_wrong_token_is_named_and_not_shown(run: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_Wrong12345678901234567890")
    with pytest.raises(BadInput, match="401, the Hub does not accept the token") as refused:
        published(run)
    assert "hf_" not in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "hf_two words")
    with pytest.raises(BadInput, match="contains blanks") as refused:
        published(run)
    assert "hf_" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "400, the Hub refused (the Hub says: injected ***)"),
        (401, "401, the Hub does not accept the token; set HF_TOKEN"),
        (403, f"403, the token may not do this; it needs write access to {REPO}"),
        (409, "is being changed by something else"),
        (412, "412, main has changed since the plan was made; publish again"),
        (429, "429, the Hub asks to slow down; wait a few minutes"),
        (503, "503, the Hub failed; try later: uploaded files are kept"),
    ],
)
def test_every_refusal_is_one_line_with_what_to_do(run: Path, hub: LoopbackHub, status: int, said: str) -> None:
    hub.fault = Fault(str(status), at=1, lasting=True)
    with pytest.raises((BadInput, RunFailed)) as at_once:
        published(run)
    assert isinstance(at_once.value, BadInput if status in (401, 403) else RunFailed)
    hub.calls.clear()
    hub.fault = Fault(str(status), at=6, lasting=True)  # the repository is there, the upload begins
    with pytest.raises(RunFailed) as half_way:
        published(run)
    for error in (at_once.value, half_way.value):
        assert said in str(error)
        assert len(str(error).splitlines()) == 1


def test_a_hub_that_is_not_there(run: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunFailed, match="cannot be reached; check the network and HF_ENDPOINT"):
        published(run)


@pytest.mark.parametrize(
    "text",
    [
        f"token {TOKEN} refused",
        f"b'Bearer {TOKEN}'",
        "authorization: Bearer abc.def",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
        "https://s3.amazonaws.com/x?X-Amz-Signature=deadbeef&X-Amz-Credential=me",
    ],
)
def test_the_redactor_does_match(text: str) -> None:
    shown = redacted(text, SecretStr(TOKEN))
    assert "***" in shown
    for secret in (TOKEN, "abc.def", "AbCdEf", "deadbeef", "Credential"):
        assert secret not in shown


def test_the_redactor_leaves_other_text_alone() -> None:
    text = "uploading 3 files for main (is that all?); see hf_hub and https://huggingface.co/datasets/a/b"
    assert redacted(text, SecretStr(TOKEN)) == text
    assert redacted("a\x1b[31mb", None) == "a\\x1b[31mb"


def test_logs_pass_the_redactor(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("huggingface_hub")
    logger.addHandler(handler)
    try:
        with redacted_logs(SecretStr(TOKEN)):
            try:
                raise ValueError(f"header {TOKEN}")
            except ValueError:
                logger.exception("sent %s", TOKEN)
    finally:
        logger.removeHandler(handler)
    written = capsys.readouterr().err
    assert "sent ***" in written
    assert "header ***" in written
    assert TOKEN not in written


@pytest.mark.parametrize("kind", ["none", "500"])
def test_no_canary_anywhere(run: Path, kind: str) -> None:
    """All of the library's logging on, a Hub that quotes the token in its errors: it is in nothing that stays."""
    with loopback_hub() as hub:
        hub.fault = Fault("500", at=9, lasting=True) if kind == "500" else None
        environment = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_DEBUG": "1",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_VERBOSITY": "debug", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        code = "import time; time.sleep = lambda seconds: None; from stepforge import cli; cli.main()"
        result = subprocess.run(
            [sys.executable, "-c", code, "publish", str(run), "--repo", REPO, "--yes"],
            capture_output=True, text=True, env=environment, timeout=120, check=False,
        )  # fmt: skip
    assert result.returncode == (1 if kind == "500" else 0), result.stderr
    assert "Traceback" not in result.stderr
    assert "***" in result.stderr or kind == "none"
    commits = "".join(f"{c.title} {c.description}" for repo in hub.repos.values() for c in repo.commits.values())
    contents = b"".join(
        f.content for repo in hub.repos.values() for c in repo.commits.values() for f in c.files.values()
    )
    here = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert TOKEN not in result.stdout + result.stderr + commits
    assert TOKEN.encode() not in contents + here
    assert json.dumps(hub.calls).count(TOKEN) == 0
    assert not re.search(r"hf_[A-Za-z0-9]{8,}", result.stdout + result.stderr)
