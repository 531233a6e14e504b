"""A policy that starts when it is first needed: where everything drawn was kept, no model is loaded."""

from typing import Any

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.pipelines.engines import AnyEngine, open_engine


class Opening:
    """The way to one policy."""

    def __init__(self, engine: AnyEngine, settings: PolicySettings) -> None:
        self._engine = engine
        self._settings = settings
        self._policy: PromptedPolicy | None = None

    def settings(self) -> dict[str, Any]:
        """Return what the policy is made of: what it wrote belongs to these settings."""
        return {"engine": self._engine.model_dump(mode="json"), "policy": self._settings.model_dump(mode="json")}

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
