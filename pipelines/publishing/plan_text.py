"""The plan as text: on the terminal before anything happens, and in the resulting commit."""

from stepforge.pipelines.publishing.local_dataset import LocalDataset
from stepforge.pipelines.publishing.plan import Plan

LISTED = 20
"""Files named per kind; the rest is counted."""


def local_text(local: LocalDataset, licenses: dict[str, str | None]) -> str:
    known = ", ".join(f"{name}: {license or 'UNKNOWN'}" for name, license in licenses.items())
    size = _size(sum(file.size for file in local.files.values()))
    return (
        f"data sets   {'; '.join(row_counts(local))}\n"
        f"licenses    {known or 'none needed, all problems were generated here'}\n"
        f"files       {len(local.files)}, {size}, checksums verified"
    )


def hub_text(plan: Plan) -> str:
    lines = [
        f"repository  {_repository(plan)}",
        f"changes     {summary(plan)}, {len(plan.local.files) - len(plan.uploads)} unchanged",
        *(f"  {change}" for change in _changes(plan)),
        *(f"  {line}" for line in _listed("kept, not from stepforge", plan.kept)),
        f"steps       {'; '.join(_steps(plan)) or 'none, everything is up to date'}",
    ]
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    return f"{len(plan.new)} new, {len(plan.changed)} changed, {len(plan.removed)} removed"


def commit_title(plan: Plan) -> str:
    return f"{plan.tag}: {summary(plan)}"


def commit_description(plan: Plan, origin: str) -> str:
    """Return the rest of the commit: what it holds, what changed, what it was made from."""
    rows, changes = ("\n".join(f"- {line}" for line in lines) for lines in (row_counts(plan.local), _changes(plan)))
    return f"{rows}\n\n{changes}\n\n{origin}; content {plan.local.digest}"


def _changes(plan: Plan) -> list[str]:
    before = plan.remote.files if plan.remote else {}
    return [
        *_listed("new", [f"{f.path} ({_size(f.size)})" for f in plan.new]),
        *_listed("changed", [f"{f.path} ({_size(before[f.path].size)} -> {_size(f.size)})" for f in plan.changed]),
        *_listed("removed", plan.removed),
    ]


def row_counts(local: LocalDataset) -> list[str]:
    return [
        f"{name} {' + '.join(f'{count:,} {split}' for split, count in rows.items())} rows"
        for name, rows in local.rows.items()
    ]


def _repository(plan: Plan) -> str:
    remote, public = plan.remote, plan.request.public
    if remote is None:
        return f"to be created, private{', public at the end' if public else ''}"
    seen = "private, public at the end" if plan.reveals else "private" if remote.private else "PUBLIC"
    version = f" (v{remote.version})" if remote.version else ""
    return f"exists, {seen}, main at {(remote.head or 'no commit')[:8]}{version}"


def _steps(plan: Plan) -> list[str]:
    size = _size(sum(file.size for file in plan.uploads))
    return [
        *(["create the repository"] if plan.remote is None else []),
        *([f"upload at most {size}; one commit to main"] if plan.writes else []),
        *([f"tag {plan.tag}"] if plan.tag else []),
        *(["make the repository PUBLIC"] if plan.reveals else []),
    ]


def _listed(kind: str, names: list[str]) -> list[str]:
    more = [f"... and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return [*(f"{kind}: {name}" for name in names[:LISTED]), *more]


def _size(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} B"
    power = next((power for power in (1, 2) if count < 1000 ** (power + 1)), 3)
    return f"{count / 1000**power:.1f} {' kMG'[power]}B"
