"""A real S3 server on loopback, for runs that lie in an object store."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "lab"


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Start one with an empty bucket; give the environment that clients of it need."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        _wait_for(port, process)
        _make_bucket(environment)
        yield environment
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _make_bucket(environment: dict[str, str]) -> None:
    """In a process of its own: clients read the environment when they are made."""
    code = (
        "from pyarrow.fs import FileSystem\n"
        f"filesystem, name = FileSystem.from_uri('s3://{BUCKET}?allow_bucket_creation=true')\n"
        "filesystem.create_dir(name)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | environment, timeout=60)
