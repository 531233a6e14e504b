"""What vLLM is started with: further arguments are checked by name, and the model's size decides how many fit."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from run_files import a_run

from stepforge.pipelines.engines import VllmEngineSettings
from stepforge.pipelines.engines.vllm_arguments import (
    check_arguments,
    cpu_cache_bytes,
    fitting_requests,
    vllm_arguments,
)
from stepforge.pipelines.run.preflight import preflight
from stepforge.schemas.errors import BadInput

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
GIB = 1 << 30
LLAMA_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
"""128 KiB of keys and values per token in 16 bits."""


def folder_of(path: Path, config: dict[str, Any], weights: int = 0) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    with (path / "model.safetensors").open("wb") as file:
        file.truncate(weights)
    return path


def fitting(folder: Path, device_memory: int = 0, **arguments: Any) -> int | None:
    defaults = {"dtype": "auto", "tensor_parallel_size": 1, "gpu_memory_utilization": 0.9}
    return fitting_requests(defaults | arguments, folder, device_memory)


def test_what_the_weights_leave_decides_how_many_are_computed_together(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, LLAMA_8B, weights=16 * GIB)
    assert fitting(folder, 80 * GIB) == 896  # 56 GiB at 64 MiB per request of 512 tokens
    assert fitting(folder, 24 * GIB) == 89
    assert fitting(folder, 16 * GIB) == 16
    assert fitting(folder, 24 * GIB, max_model_len=256) == 179
    assert fitting(folder, 24 * GIB, kv_cache_dtype="fp8") == 179
    assert fitting(folder, 24 * GIB, tensor_parallel_size=2) == 435  # 27.2 GiB of 43.2 are left
    assert fitting(folder, kv_cache_memory_bytes=4 * GIB) == 64
    assert fitting(folder, kv_cache_memory_bytes=1000 * GIB) == 1024


def test_the_text_part_of_a_larger_model_counts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"text_config": LLAMA_8B | {"dtype": "float32"}})
    assert fitting(folder, kv_cache_memory_bytes=8 * GIB) == 64


def test_on_a_cpu_the_cache_holds_128_requests_or_an_eighth_of_the_memory(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, LLAMA_8B)
    assert cpu_cache_bytes({"dtype": "auto"}, folder, 128 * GIB) == 8 * GIB  # 64 MiB per request of 512 tokens
    assert cpu_cache_bytes({"dtype": "auto"}, folder, 32 * GIB) == 4 * GIB
    assert cpu_cache_bytes({"dtype": "auto"}, folder, 4 * GIB) == GIB
    assert cpu_cache_bytes({"dtype": "auto"}, tmp_path / "org" / "name", 128 * GIB) == GIB


def test_a_model_that_is_not_here_is_left_to_vllm(tmp_path: Path) -> None:
    assert fitting(tmp_path / "org" / "name", 80 * GIB) is None


@needs_vllm
def test_further_arguments_are_passed_on(tmp_path: Path) -> None:
    further = {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}, "block_size": 16, "seed": 7}
    settings = VllmEngineSettings(vllm=further, max_num_seqs=7)
    check_arguments(settings)
    arguments = vllm_arguments(settings, str(folder_of(tmp_path, LLAMA_8B)))
    assert arguments["max_num_seqs"] == 7
    assert arguments | further == arguments


@needs_vllm
@pytest.mark.parametrize(
    ("name", "said"),
    [("speculative_confg", "has no such engine argument"), ("max_num_seqs", r"set engine\.max_num_seqs instead")],
)
def test_an_unknown_argument_is_refused_before_the_run(name: str, said: str) -> None:
    run = a_run(engine={"kind": "vllm", "vllm": {name: 1}})
    with pytest.raises(BadInput, match=rf"^engine\.vllm\.{name}: .*{said}") as caught:
        preflight(run)
    assert "\n" not in str(caught.value)


def test_all_gpus_of_an_engine_are_reserved() -> None:
    further = {"data_parallel_size": 2, "pipeline_parallel_size": 2}
    assert VllmEngineSettings(tensor_parallel_size=4, vllm=further).gpus == 16
    assert VllmEngineSettings().gpus == 1


@needs_vllm
def test_preemptions_are_counted_with_a_prefix_cache_and_without() -> None:
    from vllm.v1.metrics.stats import IterationStats, PrefixCacheStats, SchedulerStats

    from stepforge.pipelines.engines.vllm_load import LoadReports

    reports, step = LoadReports(), IterationStats()
    logger = reports.logger(None)
    logger.record(SchedulerStats(prefix_cache_stats=PrefixCacheStats(preempted_requests=2)), None)
    step.num_preempted_reqs = 1
    logger.record(SchedulerStats(), step)
    assert reports.load.preemptions == 3
