"""Where a model's files are, and a digest that changes when the weights or the tokenizer do."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, file_digest
from importlib.resources import files
from pathlib import Path

from stepforge.pipelines.engines.settings import EMBEDDED, TransformersEngineSettings, VllmEngineSettings
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import EngineIdentity

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


CARRIED = {EMBEDDED: "weights", "embedded-free": "weights_free", "embedded-domains": "weights_domains"}
"""The package's own weights: for plain wording, for free wording, and for logic, plans, tools and programs."""


def embedded_folder(model: str = EMBEDDED) -> Path:
    return Path(str(files("stepforge.pipelines.embedded_policy"))) / CARRIED[model]


def locate(model: str, setting: str = "engine.model", needs: Sequence[str] = ("config.json",)) -> str:
    """Return the folder of a model, or its name if it is on the hub. Raises BadInput: the folder or a required file is
    missing."""
    folder = embedded_folder(model) if model in CARRIED else Path(model).expanduser()
    if not folder.is_dir():
        if model in CARRIED:
            raise BadInput(f"{setting}: this installation has no weights ({folder} is missing); name a model")
        if _looks_like_path(model):
            raise BadInput(f"{setting}: {model} is not a folder; give a model folder, a hub name or 'embedded'")
        return model
    if not any((folder / name).is_file() for name in needs):
        raise BadInput(f"{setting}: {folder} is not a model folder ({' or '.join(needs)} is missing)")
    return str(folder)


def check_there(model: str, revision: str | None) -> None:
    """Check a model's folder, or its place on the Hub: a model library would look for every file there, with retries.

    Raises BadInput: it is not there.
    """
    if Path(located := locate(model)).is_dir():
        return
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError

    try:
        hf_hub_download(located, "config.json", revision=revision)
    except (HFValidationError, RemoteEntryNotFoundError):
        return  # a name of the engine's own form, or a model without this file
    except OSError as error:
        line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"not found on the Hub: {line}"
        raise BadInput(f"engine.model: {model}: not in the local cache, and {why}") from None


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.count("/") != 1 or "\\" in model or Path(model).exists()


def identity_of(settings: VllmEngineSettings | TransformersEngineSettings, version: str = "") -> EngineIdentity:
    """Return which model an engine has, or would have: nothing is loaded."""
    name = digest(locate(settings.model), settings.revision)
    return EngineIdentity(model=settings.model, digest=name, engine=settings.kind, version=version)


def digest(located: str, revision: str | None) -> str:
    """Return a digest of a folder's weights and tokenizer; for a hub name the revision, empty if not given."""
    folder = Path(located)
    if not folder.is_dir():
        return revision or ""
    named = [*sorted(folder.glob("*.safetensors")), *(folder / name for name in TOKENIZER_FILES)]
    stats = [(path, path.stat()) for path in named if path.is_file()]
    return _digest_of(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@lru_cache(maxsize=8)
def _digest_of(parts: tuple[tuple[Path, int, int], ...]) -> str:
    """Each file comes with its size in bytes and the time of its last change, so that weights are read once."""
    total = blake2b(digest_size=16)
    for path, size, _ in parts:
        total.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            file_digest(file, lambda: total)
    return total.hexdigest()
