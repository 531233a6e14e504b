"""The policies of a run: which one solves a problem, and which one completes its solutions."""

from collections.abc import Awaitable, Callable, Mapping

from stepforge.generators.policy import PolicySettings, PromptedPolicy
from stepforge.generators.policy_settings import Way, way_of
from stepforge.schemas.problem import Problem
from stepforge.schemas.protocols import Engine


class Policies:
    """The policy of ``[policy]`` and those of its ways, on the engines that they name."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        settings: PolicySettings,
        python: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        """``engines``: by their table of the run file."""
        self.main = PromptedPolicy(engines["engine"], settings, engines.get("judge"), python)
        self._engines = engines
        self._by_way: dict[tuple[str, bool], PromptedPolicy] = {}

    def solving(self, problem: Problem, *, supplied: bool = False) -> PromptedPolicy:
        """Return the policy that solves a problem. ``supplied``: its solutions came with it, so its completer does."""
        return self.completing(problem, supplied=True) if supplied else self._as(self._writer(problem))

    def completing(self, problem: Problem, *, supplied: bool = False) -> PromptedPolicy:
        """Return the policy that completes a problem's solutions: the one that solved it, unless the run has another.

        Another model's tokens mean nothing to it, so it is given their text; supplied steps have its own tokens.
        """
        ways, writer = self.main.settings.ways, self._writer(problem)
        chosen = next((way for way in ways if way.name == self.main.settings.completer), writer)
        written_by = None if writer is None else writer.engine
        foreign = chosen is not None and not supplied and chosen.engine != written_by
        return self._as(chosen, own_tokens=not foreign)

    def _writer(self, problem: Problem) -> Way | None:
        return way_of(self.main.settings.ways, problem.id)

    def _as(self, way: Way | None, *, own_tokens: bool = True) -> PromptedPolicy:
        if way is None:
            return self.main
        key = (way.name, own_tokens)
        if key not in self._by_way:
            settings = self.main.settings.model_copy(update={**way.changes, "ways": (), "completer": None})
            engine, judge = self._engines[way.table], self._engines.get("judge", self.main.engine)
            self._by_way[key] = PromptedPolicy(
                engine, settings, judge, self.main.python, name=way.name, own_tokens=own_tokens
            )
        return self._by_way[key]
