"""Who gets into the viewer, and what it serves at all."""

import html
import re
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from view_runs import TOKEN, Looking

from stepforge.pipelines.progress.status import open_run
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput


def test_the_token_becomes_a_cookie_and_leaves_the_address(layout: Layout) -> None:
    with Looking(layout) as client:
        client.cookies.clear()
        assert client.get("/").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        answer = client.get(f"/problem/label/0/0?n=1&token={TOKEN}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/problem/label/0/0?n=1")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and cookie.startswith("stepforge_8000=")
        assert client.get("/").status_code == 200
        away = client.get(f"//evil.example?token={TOKEN}", follow_redirects=False)
        assert not away.headers.get("location", "/x").startswith("//")


def test_pages_load_only_their_own_files(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text):
        assert client.get(name).status_code == 200
    assert "http" not in re.sub(r"http://www\.w3\.org\S*", "", client.get("/").text)


def test_another_host_and_another_page_are_refused(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    finding = {"step": 0, "finding": "right", "seconds": 1}
    for origin in (None, "http://127.0.0.1:9999", "http://evil.example"):
        headers = {} if origin is None else {"Origin": origin}
        assert client.post("/review/1/finding", json=finding, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/problem/label/99/0",
        "/problem/label/0/99",
        "/problem/secrets/0/0",
        "/problem/label/0/0/questions/9",
        "/static/..%2Fapp.py",
        "/static/%2e%2e/%2e%2e/settings/run_file.py",
        "/..%2f..%2frun.toml",
        "/run.toml",
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_run_with_a_link_in_it_is_refused(layout: Layout, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(layout.folder, copy)
    (copy / "labeled" / "part-00009.parquet").symlink_to(layout.shard("label", 0))
    with pytest.raises(BadInput, match="symbolic link"):
        open_run(copy)
    (copy / "labeled" / "part-00009.parquet").unlink()
    with Looking(Layout(copy)) as client:  # one that comes later is not read either
        (copy / "labeled" / "part-00009.parquet").symlink_to(layout.shard("label", 0))
        answer = client.get("/problem/label/9/0")
        assert answer.status_code == 500 and "symbolic link" in html.unescape(answer.text)
