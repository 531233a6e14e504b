"""What is kept for the next run belongs to one set of settings; under others it is refused, never mixed."""

import json
from hashlib import blake2b
from pathlib import Path

from pydantic import BaseModel

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.pipelines.engines import AnyEngine, open_engine
from stepforge.pipelines.storage.store import write_text
from stepforge.schemas.errors import BadInput

NOTE = "settings.json"


def keep_under(folder: Path, *settings: BaseModel) -> None:
    """Note in a folder under which settings its files are made.

    Raises:
        BadInput: it holds files that were made under others.
    """
    note = folder / NOTE
    text = json.dumps([part.model_dump(mode="json") for part in settings], sort_keys=True, indent=1) + "\n"
    if not note.exists():
        if any(folder.glob("part-*")):
            raise BadInput(f"{folder}: holds files, and {NOTE} is missing; delete it, or choose another --folder")
        write_text(note, text)
    elif note.read_text(encoding="utf-8") != text:
        raise BadInput(f"{folder}: was made under other settings; delete it, or choose another --folder")


def digest_of(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


class Opening:
    """The way to one policy, which starts when it is first needed: where everything was kept, no model is loaded."""

    def __init__(self, engine: AnyEngine, settings: PolicySettings) -> None:
        self._engine = engine
        self._settings = settings
        self._policy: PromptedPolicy | None = None

    def settings(self) -> tuple[BaseModel, ...]:
        """Return what the policy is made of: what it wrote belongs to these settings."""
        return self._engine, self._settings

    async def policy(self) -> PromptedPolicy:
        """Return the policy, started by now.

        Raises:
            BadInput: the engine cannot be started.
        """
        if self._policy is None:
            self._policy = PromptedPolicy(await open_engine(self._engine), self._settings)
        return self._policy

    async def close(self) -> None:
        if self._policy is not None:
            await self._policy.engine.close()
            self._policy = None
