"""Carrying a plan out, in an order in which every interruption leaves main whole and the same command resumes it."""

from collections.abc import Callable
from dataclasses import replace

from stepforge.pipelines.publishing.hub import MAIN, HubRepo
from stepforge.pipelines.publishing.hub_errors import MOVED
from stepforge.pipelines.publishing.plan import Plan, Remote
from stepforge.pipelines.publishing.plan_text import commit_description, commit_title
from stepforge.schemas.errors import RunFailed


def carry_out(plan: Plan, hub: HubRepo, origin: str, note: Callable[[str], None]) -> str:
    """Create, upload, commit, tag, reveal; return the commit of main.

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
    note(f"uploading {len(plan.uploads)} files for {MAIN}; what the Hub has is not sent again")
    additions = hub.upload(plan.uploads)
    _check_private(plan, hub, f"nothing was committed to {MAIN}")
    note(f"committing to {MAIN}")
    commit = hub.commit(
        [*additions, *(CommitOperationDelete(path, is_folder=False) for path in plan.removed)],
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
