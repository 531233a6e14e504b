"""Whether a run's results may be exported, or too many rows failed, or the engine or policy makes labels worthless."""

from stepforge.pipelines.run_folder.failures import may_be_tried
from stepforge.pipelines.run_folder.ledger import Ledger
from stepforge.pipelines.run_folder.watched import reason_to_stop
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import RunFailed


def check_watched(run: RunFile, ledger: Ledger) -> None:
    """Raise ``RunFailed`` if the watched figures show that the labels would be worthless."""
    reason = reason_to_stop(ledger.watched.counts, run.watch, temperature=run.policy.temperature, ended=True)
    if reason is not None:
        raise RunFailed(f"nothing was exported, finished work is kept: {reason}")


def check_failures(run: RunFile, ledger: Ledger) -> None:
    """Raise ``RunFailed`` if more rows of a stage failed than ``max_failure_share`` allows."""
    for stage, total in ledger.stages.items():
        failed, rows = sum(total.failures.values()), total.rows_in
        if rows and failed / rows > run.max_failure_share:
            (message, count), *_ = ledger.failures.get(stage, {}).items() or [("no reason kept", failed)]
            tried = may_be_tried(total.failures)
            again = "fix the cause and run the same command to retry them, or " if tried else ""
            raise RunFailed(
                f"{stage}: {failed} of {rows} rows could not be finished ({total.failures}), more than "
                f"max_failure_share = {run.max_failure_share:g}; most often ({count}): {message}. To continue, {again}"
                f"raise max_failure_share; see failures/{stage}/"
            )
