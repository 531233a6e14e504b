"""Rates of a run: its first shards are labeled with given rates, the rest with rates fitted to these.

Once the rates are fitted, the verdicts of the first shards are derived again from their evidence, without sampling. The
run file alone determines which shards these are, and the rates are committed like a shard, so a run gives the same
labels however often it is stopped.
"""

from collections.abc import Sequence
from itertools import accumulate

from pydantic import ValidationError

from stepforge.labelers import AnyLabeler, speaking
from stepforge.labelers.contracts import Combiner, PooledLabeler, pooled_labeler
from stepforge.labelers.evidence.replay import solved_part, stored_evidence
from stepforge.pipelines.run_folder.plan import ShardPlan
from stepforge.pipelines.settings.digest import content_digest, digest_of
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.checksummed import read_checksummed, write_checksummed
from stepforge.pipelines.storage.layout import Layout, shard_index
from stepforge.pipelines.storage.shards import read_shard, shard_metadata, write_shard
from stepforge.schemas.errors import RunFailed
from stepforge.schemas.labeled import LabeledProblem
from stepforge.schemas.record import Record


def shards_to_fit(run: RunFile, plan: Sequence[ShardPlan]) -> list[ShardPlan]:
    """Return the shards to label first: enough to fit rates to, or all there are; none if nothing is pooled."""
    part = pooled_labeler(run.label)
    if part is None:
        return []
    before = accumulate((shard.stop - shard.start for shard in plan), initial=0)
    return [shard for shard, problems in zip(plan, before, strict=False) if problems < part.fit_problems]


def rates_of_run(run: RunFile, layout: Layout, first: Sequence[ShardPlan]) -> Record:
    """Return the pooled rates: as committed, or fitted to the evidence of the first shards and committed.

    Shards labeled with other rates are deleted before new ones are committed.
    """
    part = pooled_labeler(run.label)
    if part is None:
        raise ValueError("the run has no labeler with rates to pool")
    digest = content_digest(run)
    if layout.rates.exists():
        return committed_rates(part, layout, digest)
    rows = [r for shard in first for r in read_shard(layout.shard("label", shard.index), LabeledProblem)]
    rates = part.fitted_rates(rows)
    _forget_others(layout, first, rates)
    write_checksummed(layout.rates, {"run": digest, "rates": rates.model_dump()})
    return rates


def committed_rates(part: PooledLabeler, layout: Layout, digest: str) -> Record:
    """Raises RunFailed: they are damaged, or of another run or version."""
    try:
        return type(part.rates).model_validate(read_checksummed(layout.rates, digest)["rates"])
    except (KeyError, ValidationError):
        raise RunFailed(f"{layout.rates}: not rates of this version; delete it and run again") from None


def rates_digest(rates: Record) -> str:
    return digest_of(rates.model_dump(mode="json"))


def _forget_others(layout: Layout, first: Sequence[ShardPlan], rates: Record) -> None:
    """Delete labels made with other rates; their completions are kept."""
    kept, digest = {shard.index for shard in first}, rates_digest(rates)
    for path in layout.shards("label"):
        if shard_index(path) not in kept and shard_metadata(path).get("rates", digest) != digest:
            path.unlink(missing_ok=True)


def settle_shard(run: RunFile, layout: Layout, shard: ShardPlan, rates: Record) -> None:
    """Derive the verdicts of one of the first shards again under the fitted rates, once."""
    path = layout.shard("label", shard.index)
    metadata = shard_metadata(path)
    part, digest = pooled_labeler(run.label), rates_digest(rates)
    if part is None or metadata.get("settled") == digest:
        return
    fitted = part.with_rates(rates)
    rows = [settled(row, run.label, fitted) for row in read_shard(path, LabeledProblem)]
    write_shard(path, rows, LabeledProblem, {**metadata, "settled": digest})


def settled(row: LabeledProblem, parts: Sequence[AnyLabeler], fitted: PooledLabeler) -> LabeledProblem:
    """Return a problem with the verdicts that its stored evidence gives under other rates."""
    fresh = fitted.conclude(solved_part(row), stored_evidence(row))
    solutions = []
    for solution, new in zip(row.solutions, fresh.solutions, strict=True):
        spoken = {v.labeler: v for v in (solution.verdict, *solution.others)} | {fitted.name: new.verdict}
        said = [spoken[part.name] for part in speaking(parts) if not isinstance(part, Combiner)]
        spoken |= {part.name: part.combine(said) for part in parts if isinstance(part, Combiner)}
        verdict, *others = (spoken[part.name] for part in speaking(parts))
        solutions.append(
            solution.model_copy(update={"labels": new.labels, "verdict": verdict, "others": tuple(others)})
        )
    return row.model_copy(update={"solutions": tuple(solutions)})
