"""Counts and times of a service, in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Meter:
    """A separate registry, so two services in one process do not mix."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        """For metrics of the service's own."""
        self._requests = Counter(
            "stepforge_requests_total", "Answered requests.", ("service", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "stepforge_request_seconds",
            "Time to answer.",
            ("service", "route"),
            registry=self.registry,
            buckets=SECONDS,
        )
        self._service = service
        up = Gauge("stepforge_up", "1 while the service runs.", ("service",), registry=self.registry)
        up.labels(service).set(1)

    def count(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(self._service, route, str(status)).inc()
        self._seconds.labels(self._service, route).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
