"""``stepforge publish``: check, plan, show, ask, carry out. Main changes by one commit, or not at all."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from huggingface_hub import CommitOperationDelete, is_offline_mode
from huggingface_hub.utils import disable_progress_bars

from stepforge.pipelines.publishing.endpoint import hub_endpoint, use_our_client
from stepforge.pipelines.publishing.finished_run import check_up_to_date, finished_run, source_licenses
from stepforge.pipelines.publishing.hub import MAIN, HubRepo
from stepforge.pipelines.publishing.hub_calls import MOVED
from stepforge.pipelines.publishing.hub_token import find_token, redacted, redacted_logs
from stepforge.pipelines.publishing.local_dataset import LocalDataset, local_folder, read_dataset
from stepforge.pipelines.publishing.ownership import with_confirmed, with_hub_card
from stepforge.pipelines.publishing.plan import Plan, PublishRequest, Remote
from stepforge.pipelines.publishing.plan_text import commit_description, commit_title, hub_text, local_text
from stepforge.pipelines.run_folder.lock import only_driver
from stepforge.pipelines.settings.digest import VERSION, content_digest
from stepforge.pipelines.storage.store import AnyPath
from stepforge.schemas.errors import BadInput, RunFailed

OFFLINE = "HF_HUB_OFFLINE is set; unset it to reach the Hub"
NO_TOKEN = "no Hub token: set HF_TOKEN in the environment, or log in with `hf auth login`"  # noqa: S105 - no password


@dataclass(frozen=True)
class Talk:
    show: Callable[[str], None]
    """Prints the plan and the result."""
    note: Callable[[str], None]
    """Prints progress."""
    agree: Callable[[], None]
    """Returns if the user confirms the plan; raises ``BadInput`` otherwise."""


def publish(folder: AnyPath, request: PublishRequest, talk: Talk, *, dry_run: bool) -> None:
    """Publish the data sets of a run; what the Hub already has is neither sent nor committed again.

    Raises:
        BadInput: nothing was changed on the Hub.
        RunFailed: the Hub failed; main is unchanged or complete; the same command resumes.
    """
    request.check()
    endpoint = hub_endpoint()
    run, layout = finished_run(folder)
    licenses = source_licenses(run)
    request.check_licenses(licenses)
    with nullcontext() if dry_run else only_driver(layout), local_folder(run, layout) as datasets:
        check_up_to_date(run, layout)
        token = find_token()
        local = read_dataset(run, layout, datasets, token)
        talk.show(f"publish to {request.repo} at {endpoint}\n{local_text(local, licenses)}")
        if is_offline_mode() or token is None:
            missing = OFFLINE if is_offline_mode() else NO_TOKEN
            if not dry_run:
                raise BadInput(missing)
            talk.show(f"repository not checked: {missing}")
            return
        use_our_client(endpoint)
        with redacted_logs(token), nullcontext() if sys.stderr.isatty() else disable_progress_bars():
            hub = HubRepo(request.repo, endpoint, token, talk.note)
            plan = _plan(request, local, hub)
            plan.check()
            talk.show(redacted(hub_text(plan), token))
            if dry_run or not (plan.writes or plan.tag or plan.reveals):
                return
            talk.agree()
            commit = carry_out(plan, hub, f"stepforge {VERSION}, run {content_digest(run)}", talk.note)
    version = f" {plan.tag}" if plan.tag else ""
    talk.show(f"published {request.repo}{version}: {endpoint}/datasets/{request.repo}/tree/{commit}")


def _plan(request: PublishRequest, local: LocalDataset, hub: HubRepo) -> Plan:
    remote = hub.look()
    if remote is None or remote.head is None:
        return Plan(request, local, remote)

    def read(path: str) -> bytes:
        return hub.read(path, str(remote.head))

    local = with_hub_card(local, remote, request.repo, read)
    return Plan(request, local, with_confirmed(remote, local, read))


def carry_out(plan: Plan, hub: HubRepo, origin: str, note: Callable[[str], None]) -> str:
    """Create, upload, commit, tag, reveal; return the commit of main.

    Raises RunFailed: main is unchanged or complete; run the same command to resume.
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
    """Return the plan for the repository as created; it must be what the user agreed to."""
    hub.create()
    plan = replace(plan, remote=hub.look())
    if plan.changed or plan.removed or plan.kept:
        raise RunFailed(f"{hub.repo}: {MOVED}")
    plan.check()
    return plan


def _write(plan: Plan, remote: Remote, hub: HubRepo, origin: str, note: Callable[[str], None]) -> str:
    _check_private(plan, hub, "nothing was committed")
    note(f"uploading {len(plan.uploads)} files for {MAIN}; files that the Hub has are not sent again")
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
    _check_private(plan, hub, f"commit {commit[:8]} is visible to everyone")
    return commit


def _check_private(plan: Plan, hub: HubRepo, what: str) -> None:
    """Check again: someone may have made the repository public since the plan was confirmed."""
    if not plan.request.public and not hub.is_private():
        raise RunFailed(f"{hub.repo}: is no longer private; {what}; make it private, or publish with --public")
