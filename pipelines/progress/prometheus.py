"""The figures of a running run for Prometheus, on a port of the driver; off unless the run file names a port."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stepforge.pipelines.progress.snapshot import ADDED, EngineProgress, Snapshot
from stepforge.pipelines.settings.run_file import Workers
from stepforge.schemas.errors import BadInput

if TYPE_CHECKING:
    from prometheus_client.core import Metric


def check_metrics(workers: Workers) -> None:
    if workers.metrics_port is None:
        return
    try:
        family = socket.getaddrinfo(workers.metrics_host, workers.metrics_port)[0][0]
        with socket.create_server((workers.metrics_host, workers.metrics_port), family=family):
            return
    except OSError as error:
        raise _unusable(workers, error) from None


class MetricsPort:
    def __init__(self, workers: Workers, port: int) -> None:
        from prometheus_client import CollectorRegistry, start_http_server

        self.snapshot: Snapshot | None = None
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, workers.metrics_host, registry)
        except OSError as error:
            raise _unusable(workers, error) from None

    def collect(self) -> "Iterator[Metric]":
        if self.snapshot is not None:
            yield from _metrics(self.snapshot)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _metrics(snapshot: Snapshot) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    engine, recent = snapshot.engine, snapshot.engine.recent
    told = {name: (f.description or "", getattr(engine, name)) for name, f in EngineProgress.model_fields.items()}
    for name in (*ADDED, "replayed"):
        yield CounterMetricFamily(f"stepforge_{name}", *told.pop(name))
    gauges = {f"engine_{name}": (text, value) for name, (text, value) in told.items() if text} | {
        "rollouts_per_second": ("Over the last minute.", recent and recent.rollouts),
        "tokens_per_second": ("Over the last minute.", recent and recent.tokens),
        "elapsed_seconds": ("Since this session began.", snapshot.elapsed),
        "seconds_left": ("Estimated time until the end.", snapshot.seconds_left),
        "shards": ("Shards of the run.", snapshot.shards),
    }
    for name, (text, value) in gauges.items():
        if value is not None:
            yield GaugeMetricFamily(f"stepforge_{name}", text, value)
    shards = GaugeMetricFamily("stepforge_shards_done", "Committed shards, by stage.", labels=["stage"])
    rows = GaugeMetricFamily("stepforge_rows", "Rows that went in and came out, by stage.", labels=["stage", "way"])
    lost = GaugeMetricFamily(
        "stepforge_rows_lost", "Rows rejected or failed, by reason.", labels=["stage", "kind", "reason"]
    )
    for name, stage in snapshot.stages.items():
        shards.add_metric([name], stage.shards)
        rows.add_metric([name, "in"], stage.rows_in)
        rows.add_metric([name, "out"], stage.rows_out)
        for kind, counts in (("rejected", stage.rejected), ("failed", stage.failures)):
            for reason, count in counts.items():
                lost.add_metric([name, kind, reason], count)
    yield from (shards, rows, lost)


def _unusable(workers: Workers, error: OSError) -> BadInput:
    place = f"{workers.metrics_host}:{workers.metrics_port}"
    return BadInput(f"workers.metrics_port: {place} cannot be used ({error.strerror or error}); name another port")
