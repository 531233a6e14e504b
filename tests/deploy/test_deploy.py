"""What lies in deploy/ is well formed, says what the installed tools understand, and holds no secret."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = [DEPLOY / "submit.sh", DEPLOY / "slurm" / "stepforge.sbatch"]
MANIFESTS = sorted((DEPLOY / "kuberay").glob("*.yaml"))
CRONTAB = DEPLOY / "cron" / "stepforge.cron"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SECRET = re.compile(
    r"hf_\w{10}|AKIA\w{12}|-----BEGIN|(?i:token|password|secret)\s*[:=]\s*['\"]?[\w-]{16}|(?<!@sha256:)\b[0-9a-f]{32}"
)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def shellcheck(text: str) -> str:
    command = [str(Path(sys.executable).parent / "shellcheck"), "--shell=bash", "--severity=style", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout


def cron_lines() -> list[str]:
    lines = [line for line in CRONTAB.read_text().splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not re.match(r"[A-Z]+=", line)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck_and_may_be_run(script: Path) -> None:
    assert shellcheck(script.read_text()) == ""
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.suffix == ".sbatch" or script.stat().st_mode & 0o111


def test_shellcheck_is_really_asked() -> None:
    assert "SC2086" in shellcheck("#!/bin/bash\nrm $1\n")


def test_the_cron_entry_is_a_schedule_and_a_sound_command() -> None:
    (line,) = cron_lines()
    *fields, command = line.split(None, 5)
    assert all(re.fullmatch(r"[\d*,/-]+", field) for field in fields)
    assert "%" not in command.replace(r"\%", ""), "cron takes a bare percent sign for a new line"
    assert shellcheck(f"#!/bin/bash\n{command}\n") == ""


def test_jobs_are_tried_submitted_and_cleared_away_as_the_operator_can() -> None:
    for spec in (documents(DEPLOY / "kuberay" / f"{name}.yaml")[0]["spec"] for name in ("rayjob", "raycronjob")):
        job = spec.get("jobTemplate", spec)
        assert job["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
        counts = ("backoffLimit", "preRunningDeadlineSeconds", "ttlSecondsAfterFinished")
        assert all(isinstance(job[name], int) and job[name] >= 0 for name in counts)
        assert job["shutdownAfterJobFinishes"] is True and job["suspend"] is False
        workers = job["rayClusterSpec"]["workerGroupSpecs"]
        assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in workers)


def test_the_nightly_job_is_the_single_one_in_another_folder() -> None:
    (job,) = documents(DEPLOY / "kuberay" / "rayjob.yaml")
    (nightly,) = documents(DEPLOY / "kuberay" / "raycronjob.yaml")
    assert re.fullmatch(r"([\d*,/-]+ ){4}[\d*,/-]+", nightly["spec"]["schedule"])
    assert len(nightly["metadata"]["name"]) <= 36, "KubeRay's limit, so that the names of its jobs stay valid"
    template = nightly["spec"]["jobTemplate"]
    assert template.pop("entrypoint") == job["spec"].pop("entrypoint").replace("/runs/stepforge", "/runs/nightly")
    assert (template.pop("backoffLimit"), job["spec"].pop("backoffLimit")) == (0, 3)
    assert template == job["spec"]


def test_the_cluster_of_a_job_is_shut_to_strangers() -> None:
    (job,) = documents(DEPLOY / "kuberay" / "rayjob.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert cluster["authOptions"]["mode"] == "token"
    assert not any("dashboard-host" in group["rayStartParams"] for group in groups)
    (policy,) = [d for d in documents(DEPLOY / "kuberay" / "storage.yaml") if d["kind"] == "NetworkPolicy"]
    wanted = policy["spec"]["podSelector"]["matchLabels"]
    assert all(group["template"]["metadata"]["labels"] == wanted for group in groups)
    head, worker = (group["template"]["spec"]["containers"][0]["resources"]["limits"] for group in groups)
    assert "nvidia.com/gpu" in worker
    assert "nvidia.com/gpu" not in head


def test_only_the_publisher_gets_a_token_and_from_a_secret() -> None:
    for path in MANIFESTS:
        assert ("HF_TOKEN" in path.read_text()) == (path.name == "publish.yaml")
    (publisher,) = documents(DEPLOY / "kuberay" / "publish.yaml")
    (variable,) = publisher["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable["name"] == "HF_TOKEN"
    assert "value" not in variable
    assert "secretKeyRef" in variable["valueFrom"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_and_no_open_door(path: Path) -> None:
    text = path.read_text()
    assert not SECRET.search(text)
    assert not re.search(r"\b0\.0\.0\.0\b", text), "listens on every address"
    assert not re.search(r"--dashboard-host|NodePort$|type: LoadBalancer", text)


@pytest.mark.parametrize("planted", ["hf_" + "x" * 34, "token: " + "a1" * 8, 'PASSWORD="' + "q" * 20, "5e" * 16])
def test_a_secret_would_be_seen(planted: str) -> None:
    assert SECRET.search(f"env:\n  {planted}\n")


def test_one_version_of_the_project_and_one_of_ray() -> None:
    tags = {tag for path in FILES for tag in re.findall(r"stepforge:([\w.-]+)", path.read_text())}
    assert {tag.rpartition("-")[0] for tag in tags} == {PROJECT["version"]}
    versions = {version for path in MANIFESTS for version in re.findall(r'rayVersion: "(.*?)"', path.read_text())}
    (in_image,) = re.findall(r"ARG RAY_VERSION=(\S+)", CONTAINERFILE)
    assert versions == {in_image}
    (ray,) = [need for need in map(Requirement, PROJECT["dependencies"]) if need.name == "ray"]
    assert in_image in ray.specifier


def test_the_image_is_pinned_complete_and_not_root() -> None:
    bases = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    assert all(re.fullmatch(r"python:3\.1[1-3]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base) for base in bases)
    assert re.findall(r"^USER (\S+)", CONTAINERFILE, re.MULTILINE) == ["1000"]
    assert not re.search(r"^(ARG|ENV).*(TOKEN|SECRET|PASSWORD)", CONTAINERFILE, re.MULTILINE)
    copied = {
        name for line in re.findall(r"^COPY (?!--)(.*)", CONTAINERFILE, re.MULTILINE) for name in line.split()[:-1]
    }
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    (package,) = build["packages"]
    links = {path.name for path in (ROOT / package).iterdir() if path.is_symlink()}
    constraints = {"deploy/constraints-*.txt"}
    assert copied - constraints == {package, *links, "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    assert {"cpu", "gpu", "cluster"} <= set(PROJECT["optional-dependencies"])
    excluded = re.findall(r"printf '(.*?)'", CONTAINERFILE)[0].split(r"\n")[:-1]
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert excluded == tools["uv"]["exclude-dependencies"]


def test_every_version_of_the_image_is_pinned_and_meets_what_the_project_asks_for() -> None:
    lines = [line for line in (DEPLOY / "constraints-cpu.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1].split(" ;")[0] for line in lines}
    assert len(pinned) == len(lines) > 100
    assert not [line for line in lines if re.search(r"://|/|@", line)]
    extras = PROJECT["optional-dependencies"]
    for need in map(Requirement, [*PROJECT["dependencies"], *extras["cpu"], *extras["cluster"]]):
        assert need.specifier.contains(pinned[re.sub(r"[-_.]+", "-", need.name).lower()]), need
    assert pinned["ray"] == re.findall(r"ARG RAY_VERSION=(\S+)", CONTAINERFILE)[0]


def pods(part: Any) -> list[dict[str, Any]]:
    """Return the descriptions of pods in a manifest."""
    if isinstance(part, list):
        return [pod for item in part for pod in pods(item)]
    own = [part] if isinstance(part, dict) and "containers" in part else []
    return own + ([pod for value in part.values() for pod in pods(value)] if isinstance(part, dict) else [])


def test_no_container_can_write_to_its_image_or_is_more_than_a_plain_user() -> None:
    found = [pod for path in MANIFESTS for document in documents(path) for pod in pods(document)]
    assert len(found) >= 5
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"/tmp", "/runs", "/home/stepforge"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
