"""vLLM's startup arguments: the engine's settings, its table ``vllm``, and what a CPU needs."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from stepforge.pipelines.engines.memory import memory_bytes
from stepforge.pipelines.engines.settings import VllmEngineSettings
from stepforge.schemas.errors import BadInput

GIB = 1 << 30
CPU_REQUESTS = 128
"""Whose keys and values the cache holds on a CPU, if they fit an eighth of the memory."""
CPU_BATCHED_TOKENS = 4096
CPU_BLOCK_SIZE = 32
"""Only whole blocks are reused; vLLM's choice on a CPU, 128, is longer than most prompts of small problems."""
COMPUTES_ITSELF = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
TYPICAL_TOKENS = 512
"""Mean tokens held by a running request (prompt and partial continuation), to estimate how many fit the cache."""
FEWEST, MOST = 16, 1024
"""Bounds of a computed ``max_num_seqs``; more cost memory for logits and gain nothing."""
BYTES = {"float32": 4, "fp8": 1}


def check_arguments(settings: VllmEngineSettings) -> None:
    """Check the names in the table ``engine.vllm``; imports vLLM."""
    import vllm
    from vllm import AsyncEngineArgs

    known = {field.name for field in fields(AsyncEngineArgs)}
    for name in settings.vllm:
        if name in VllmEngineSettings.model_fields:
            raise BadInput(f"engine.vllm.{name}: set engine.{name} instead")
        if name not in known:
            raise BadInput(f"engine.vllm.{name}: vLLM {vllm.__version__} has no such engine argument")


def vllm_arguments(settings: VllmEngineSettings, model: str) -> dict[str, object]:
    """Return the arguments of vLLM's ``EngineArgs`` or ``LLM``, for a model as ``locate`` gives it; imports vLLM."""
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    arguments = _arguments(settings, model) | (_cpu_arguments(settings) if on_cpu else {}) | settings.vllm
    if on_cpu and arguments["kv_cache_memory_bytes"] is None:
        arguments["kv_cache_memory_bytes"] = cpu_cache_bytes(arguments, Path(model), memory_bytes())
    if settings.max_num_seqs is None:
        total = 0 if on_cpu else current_platform.get_device_total_memory()
        arguments["max_num_seqs"] = fitting_requests(arguments, Path(model), total)
    return {name: value for name, value in arguments.items() if value is not None}


def fitting_requests(arguments: dict[str, Any], folder: Path, device_memory: int) -> int | None:
    """Return how many requests of typical length the cache holds; None if the model's files are not local.

    The cache has its set size, or what the weights leave of the device's share of memory (in bytes).
    """
    if (per_request := _cache_bytes_per_request(arguments, folder)) is None:
        return None
    cache = arguments.get("kv_cache_memory_bytes")
    devices = arguments["tensor_parallel_size"] * arguments.get("pipeline_parallel_size", 1)
    if cache is None:
        weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        cache = device_memory * arguments["gpu_memory_utilization"] - weights / devices
    return max(FEWEST, min(MOST, int(cache * devices / per_request)))


def cpu_cache_bytes(arguments: dict[str, Any], folder: Path, memory: int) -> int:
    """Return the size of the cache on a CPU with so much memory (in bytes)."""
    wanted = CPU_REQUESTS * (_cache_bytes_per_request(arguments, folder) or 0)
    return max(GIB, min(memory // 8, wanted))


def _cache_bytes_per_request(arguments: dict[str, Any], folder: Path) -> int | None:
    """Keys and values of every layer for a request of typical length; models with latent or windowed attention need
    less. None if the model's files are not local."""
    if not (folder / "config.json").is_file():
        return None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    dtype = str(arguments.get("kv_cache_dtype") or arguments["dtype"])
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    if dtype == "auto":
        dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    size = next((size for name, size in BYTES.items() if dtype.startswith(name)), 2)
    per_token = 2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head_dim * size
    return int(per_token * min(TYPICAL_TOKENS, arguments.get("max_model_len") or TYPICAL_TOKENS))


def _arguments(settings: VllmEngineSettings, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "revision": settings.revision,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "kv_cache_memory_bytes": None if settings.kv_cache_gib is None else int(settings.kv_cache_gib * GIB),
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "disable_log_stats": True,
        "trust_remote_code": False,
        "use_tqdm_on_load": False,
    }


def _cpu_arguments(settings: VllmEngineSettings) -> dict[str, object]:
    """On a CPU a seeded request whose prompt is read in two steps kills the engine (vLLM 0.32: a CPU random generator
    has no offset to set back), so prompts are read whole, in steps that fit the longest one.

    If threads are set, vLLM's process computes itself: by default it would start another process, to bind threads to
    cores, and busy-wait for it on a core.
    """
    longest = settings.max_model_len or CPU_BATCHED_TOKENS
    alone = settings.threads is not None and settings.gpus == 1
    return ({"distributed_executor_backend": COMPUTES_ITSELF} if alone else {}) | {
        "enforce_eager": True,  # compiling takes longer than it saves
        "block_size": CPU_BLOCK_SIZE,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(CPU_BATCHED_TOKENS, longest),
    }
