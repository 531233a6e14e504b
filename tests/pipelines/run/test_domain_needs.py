"""What some families need is said before anything starts."""

import pytest

from stepforge.generators.families import Logic, Tools
from stepforge.generators.policy import PolicySettings
from stepforge.generators.tool_calls import ToolKind
from stepforge.labelers import OmegaPRM
from stepforge.pipelines.engines.settings import ScriptedEngineSettings
from stepforge.pipelines.run.preflight import preflight
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput


def run_of(part: Logic | Tools, tool: ToolKind | None = None) -> RunFile:
    policy = PolicySettings(tool=tool)
    return RunFile(generate=(part,), engine=ScriptedEngineSettings(), policy=policy, label=(OmegaPRM(),))


def test_problems_with_calls_need_a_calculator() -> None:
    with pytest.raises(BadInput, match='tool = "calculator"'):
        preflight(run_of(Tools()))
    preflight(run_of(Tools(), tool="calculator"))


def test_logic_needs_z3(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("z3")
    preflight(run_of(Logic()))
    monkeypatch.setattr("stepforge.pipelines.run.preflight.z3_is_there", lambda: False)
    with pytest.raises(BadInput, match=r"pip install 'stepforge\[logic\]'"):
        preflight(run_of(Logic()))
