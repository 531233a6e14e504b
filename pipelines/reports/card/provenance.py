"""Where the data comes from and what it cost."""

from typing import Any

import tomli_w

from stepforge.generators.families.templates import Templates
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.pipelines.datasets.columns import license_of
from stepforge.pipelines.exports.rows import name_only
from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.card.safe_text import cell, fenced, table
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.reports.text import figure
from stepforge.pipelines.settings.run_file import RunFile

PRIVATE = ("path", "address", "api_key_variable", "workers")
"""Settings that say nothing about the data, and something about the machine."""


def cost_section(report: Report, contents: Contents) -> str:
    """Costs in all, by labeler and labeled step, and by kept row."""
    cost = report.cost
    steps = contents.labeled_steps.total()
    engine = sum(total.engine_seconds for total in report.stages.values())
    labelers = [
        (name, c.rollouts, c.generated_tokens, _per(c.rollouts, steps), _per(c.generated_tokens, steps))
        for name, c in cost.labelers.items()
    ]
    kept = [(name, entry.total, _per(cost.generated_tokens, entry.total)) for name, entry in report.exports.items()]
    return (
        f"## Cost\n\nThe whole run: {cost.rollouts} rollouts, {cost.generated_tokens} generated tokens, "
        f"{cost.prompt_tokens} prompt tokens ({cost.cached_prompt_tokens} of them cached), {cost.seconds:.0f} s of "
        f"wall clock, {engine:.0f} s of engines. {steps} steps carry a label, which is "
        f"{_per(engine, steps)} s of an engine for each.\n\n"
        + table(("labeler", "rollouts", "tokens", "rollouts per labeled step", "tokens per labeled step"), labelers)
        + "\n\nGenerated tokens of the whole run, solutions and all labelers, for each row that was kept:\n\n"
        + table(("data set", "rows", "tokens per row"), kept)
    )


def identity_section(run: RunFile, report: Report) -> str:
    """Return policy, engine, code and settings."""
    policy = report.policy.identity.model_dump() if report.policy.identity else {}
    policy["model"] = name_only(policy.get("model", "-"))
    wanted = ("model", "digest", "engine", "engine_version", "temperature", "top_p", "max_tokens")
    rows: list[tuple[object, ...]] = [(name.replace("_", " "), policy.get(name, "-")) for name in wanted]
    rows += [("policies", cell(", ".join(map(name_only, report.policy.several))))] if report.policy.several else []
    rows += [("stepforge", report.run.version), ("settings' digest", report.run.digest)]
    rows += [("seed", report.run.seed)]
    prompt = f"\n\nThe prompt, as the model was given it:\n\n{fenced(policy['prompt'])}" if "prompt" in policy else ""
    settings = f"\n\nThe settings:\n\n{fenced(settings_text(run), 'toml', 20_000)}"
    return f"## Policy, engine and code\n\n{table(('', ''), rows)}{prompt}{settings}"


def sources_section(run: RunFile, contents: Contents) -> str:
    """Return the problems' sources with their licenses."""
    rows: list[tuple[object, ...]] = []
    for part in run.generate:
        if isinstance(part, ProblemSet):
            where = f"{part.hub}, revision {part.revision or 'not pinned'}" if part.hub else "a file"
            rows.append((part.label, where, license_of(part)))
        elif isinstance(part, ModelSource):
            seeds = part.seeds
            named = seeds.label if isinstance(seeds, ProblemSet | Templates) else seeds.kind
            rows.append(
                (part.label, f"{part.kind}: by a model from seeds of {named}", f"of the seeds: {license_of(part)}")
            )
        elif isinstance(part, Templates):
            rows.append((part.label, "drawn from a folder of templates", license_of(part)))
        else:
            rows.append((part.kind, "procedural, written by stepforge", license_of(part)))
    policy = "The solutions were written by the policy named above; terms of its own license may bind their use."
    counted = ", ".join(f"{cell(name)} {count}" for name, count in sorted(contents.sources.items()))
    head = ("source", "where from", "license of the problems")
    return f"## Sources and licenses\n\n{table(head, rows)}\n\nProblems kept: {counted}. {policy}"


def settings_text(run: RunFile) -> str:
    """Return the run file without what belongs to the machine it ran on: folders, addresses, names of variables."""
    return tomli_w.dumps(_public(run.model_dump(mode="json")))


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item is not None and key not in PRIVATE}
        return {
            key: name_only(item) if key == "model" and isinstance(item, str) else _public(item)
            for key, item in kept.items()
        }
    return [_public(item) for item in value] if isinstance(value, list) else value


def _per(amount: float, count: int) -> str:
    return figure(amount / count) if count else "-"
