"""Before a run whose outcomes come from running code: does isolation work, and can the user's own rule be called?"""

import asyncio
import shutil

from stepforge.generators.families.programs import Programs
from stepforge.generators.families.reasoning_gym import ReasoningGym
from stepforge.generators.problem_sets import ProblemSet
from stepforge.pipelines.sandbox.inside import NOT_IMPORTED
from stepforge.pipelines.sandbox.sandbox import NoIsolation, Sandbox
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput
from stepforge.schemas.verifier import CommandVerifier, PythonVerifier


def check_isolation(run: RunFile) -> None:
    """Start an isolated process that tries to escape, if the run needs isolation."""
    rules = [part.verifier for part in run.generate if isinstance(part, ProblemSet) and part.verifier]
    tested = any(
        isinstance(part, Programs | ReasoningGym) or (isinstance(part, ProblemSet) and part.tests)
        for part in run.generate
    )
    if not rules and not tested:
        return
    for rule in rules:
        if isinstance(rule, CommandVerifier) and not (rule.command[0] == "{python}" or shutil.which(rule.command[0])):
            raise BadInput(f"generate: verifier: no program {rule.command[0]!r}; give its path")
    asyncio.run(_check(rules))


async def _check(rules: list[PythonVerifier | CommandVerifier]) -> None:
    async with Sandbox(1) as sandbox:
        try:
            found = await sandbox.check()
            if rules and not found.namespaces:
                raise BadInput("generate: verifier: your own rule needs user namespaces; allow them on this machine")
            rule = next((rule for rule in rules if isinstance(rule, PythonVerifier)), None)
            if rule is None:
                return
            ruling = await asyncio.wrap_future(sandbox.ask(rule, {"question": "", "solution": "", "kept": {}}))
        except NoIsolation as error:
            raise BadInput(f"generate: {error}") from error
    if ruling.message.startswith(NOT_IMPORTED):
        raise BadInput(f"generate: verifier: {rule.function} {ruling.message}; name its folder in PYTHONPATH")
