"""vLLM's statistics, through its interface for stat loggers. Importing this imports vLLM."""

from typing import Any

from vllm.v1.metrics.loggers import StatLoggerBase

from stepforge.pipelines.engines.load import EngineLoad


class LoadLogger(StatLoggerBase):  # type: ignore[misc]  # vLLM is not typed here
    """Keeps the last statistics of one engine process."""

    def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
        self.last = EngineLoad(0, 0.0, 0)

    def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
        if scheduler_stats is not None:
            preempted = scheduler_stats.prefix_cache_stats.preempted_requests  # counted when they are computed again
            if iteration_stats is not None:
                preempted = iteration_stats.num_preempted_reqs
            running, usage = scheduler_stats.num_running_reqs, scheduler_stats.kv_cache_usage
            self.last = EngineLoad(running, usage, self.last.preemptions + preempted)

    def log_engine_initialized(self) -> None:
        """Required by the interface; nothing to log."""


class LoadReports:
    """Makes a logger for each engine process (there are several with data parallelism) and adds up what they keep."""

    def __init__(self) -> None:
        self._loggers: list[LoadLogger] = []

    def logger(self, vllm_config: Any, engine_index: int = 0) -> LoadLogger:
        self._loggers.append(LoadLogger(vllm_config, engine_index))
        return self._loggers[-1]

    @property
    def load(self) -> EngineLoad:
        running, usage, preemptions = zip(*(logger.last for logger in self._loggers), strict=True)
        return EngineLoad(sum(running), max(usage), sum(preemptions))
