"""Carrying a plan out, in an order in which every interruption leaves main whole and the same command resumes it."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from stepforge.pipelines.publishing.hub import HubRepo
from stepforge.pipelines.publishing.hub_errors import MOVED
from stepforge.pipelines.publishing.local_dataset import LocalFile
from stepforge.pipelines.publishing.plan import FILES_PER_COMMIT, Plan
from stepforge.pipelines.publishing.plan_text import commit_description, commit_title
from stepforge.pipelines.publishing.remote import Remote
from stepforge.schemas.errors import RunFailed

if TYPE_CHECKING:
    from stepforge.pipelines.publishing.hub import Operation

MAIN = "main"


def carry_out(plan: Plan, hub: HubRepo, origin: str, note: Callable[[str], None]) -> str:
    """Create, upload, commit, tag, reveal, tidy up; return the commit of main.

    Raises RunFailed: main is as it was, or holds everything; run the same command to resume from there.
    """
    if plan.remote is None:
        note("creating the repository, private")
        plan = _created(plan, hub)
    remote = plan.remote
    if remote is None:
        raise RunFailed(f"{hub.repo}: exists, but this token cannot see it; name another repository or token")
    commit = _write(plan, remote, hub, origin, note) if plan.writes else str(remote.head)
    if plan.tag:
        note(f"tagging {plan.tag}")
        hub.tag(plan.tag, commit)
    if plan.reveals:
        note("making the repository public")
        hub.make_public()
    for branch in sorted({*plan.stale_branches, *([plan.branch] if plan.staged else [])}):
        hub.delete_branch(branch)
    return commit


def _created(plan: Plan, hub: HubRepo) -> Plan:
    """Return the plan for the repository as it came to be; it must be what the user agreed to."""
    hub.create()
    plan = replace(plan, remote=hub.look(plan.request.tag))
    if plan.changed or plan.removed or plan.kept:
        raise RunFailed(f"{hub.repo}: {MOVED}")
    plan.check()
    return plan


def _write(plan: Plan, remote: Remote, hub: HubRepo, origin: str, note: Callable[[str], None]) -> str:
    from huggingface_hub import CommitOperationDelete

    _check_private(plan, hub, "nothing was committed")
    operations = _staged(plan, remote, hub, note) if plan.staged else _sent(plan.uploads, MAIN, hub, note)
    _check_private(plan, hub, f"nothing was committed to {MAIN}")
    note(f"committing to {MAIN}")
    commit = hub.commit(
        [*operations, *(CommitOperationDelete(path, is_folder=False) for path in plan.removed)],
        revision=MAIN,
        parent=remote.head,
        message=(commit_title(plan), commit_description(plan, origin)),
        holds=plan.local.files,
        lacks=plan.removed,
    )
    _check_private(plan, hub, f"commit {commit[:8]} can be seen by everybody")
    return commit


def _check_private(plan: Plan, hub: HubRepo, what: str) -> None:
    """Look again: somebody may have made the repository public since the plan was agreed to."""
    if not plan.request.public and not hub.is_private():
        raise RunFailed(f"{hub.repo}: is no longer private; {what}; make it private, or publish with --public")


def _sent(files: list[LocalFile], revision: str, hub: HubRepo, note: Callable[[str], None]) -> "list[Operation]":
    note(f"uploading {len(files)} files for {revision}; what the Hub has is not sent again")
    return list(hub.upload(files, revision))


def _staged(plan: Plan, remote: Remote, hub: HubRepo, note: Callable[[str], None]) -> "list[Operation]":
    """Bring the files to the staging branch, verify them there, and return the operations that take them to main.

    Files kept as LFS are taken over by reference, on the server; the few others travel inside the commit.
    """
    from huggingface_hub import CommitOperationCopy

    tip = hub.branch(plan.branch, start=remote.head)
    wanted = {file.path: file for file in plan.uploads}
    missing = [wanted[path] for path in hub.differences(tip, wanted)]
    for first in range(0, len(missing), FILES_PER_COMMIT):
        batch = missing[first : first + FILES_PER_COMMIT]
        message = (f"files {first + 1} to {first + len(batch)} of {len(missing)}", "on their way to main")
        holds = {file.path: file for file in batch}
        tip = hub.commit(
            _sent(batch, plan.branch, hub, note), revision=plan.branch, parent=tip, message=message, holds=holds
        )
    note(f"verifying {len(wanted)} files on {plan.branch}")
    if wrong := hub.differences(tip, wanted):
        raise RunFailed(f"{hub.repo}: {plan.branch} does not hold what was sent ({wrong[0]}); publish again")
    there = hub.files(tip)
    inline = [file for path, file in wanted.items() if there[path].sha256 is None]
    copies = [CommitOperationCopy(p, p, src_revision=tip) for p in wanted if there[p].sha256 is not None]
    return [*copies, *hub.upload(inline, MAIN)]
