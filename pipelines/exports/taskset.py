"""A verifiers taskset as a small Python package with its rows: the questions, and our grader as the reward.

The folder of the data set can be installed directly (``pip install DIR/datasets/rl_prompts``). The package needs
verifiers 0.4 and stepforge where it runs; it is text here, and nothing of it is imported.
"""

PYPROJECT = """\
[project]
name = "{dashed}"
version = "0.1.0"
description = "Questions of a stepforge run as a verifiers taskset."
requires-python = ">=3.11"
dependencies = ["verifiers>=0.4,<0.5", "stepforge"]

[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
packages = ["{module}"]
package-dir = {{ "{module}" = "." }}
package-data = {{ "{module}" = ["*.parquet"] }}
"""
MODULE = '''\
"""Questions of a stepforge run; the reward is whether stepforge's grader finds the answer right."""

import asyncio
from pathlib import Path

import pyarrow.parquet as pq
import stepforge
import verifiers.v1 as vf
from stepforge.pipelines.verification.verdicts import Item


class StepforgeData(vf.TaskData):
    answer: str
    answer_kind: str
    difficulty: int | None = None
    pass_rate: float | None = None


class StepforgeTask(vf.Task[StepforgeData]):
    @vf.reward(weight=1.0)
    async def right_answer(self, trace: vf.Trace) -> float:
        item = Item(
            response=trace.last_reply,
            reference=self.data.answer,
            question=self.data.prompt_text,
            kind=self.data.answer_kind,
        )
        (verified,) = await asyncio.to_thread(stepforge.verify, [item])
        if verified.reward is None and verified.extracted is not None:
            raise RuntimeError(f"undetermined, which is no reward of 0: {verified.reason}")
        return verified.reward or 0.0


class StepforgeConfig(vf.TasksetConfig):
    split: str = "train"


class StepforgeTaskset(vf.Taskset[StepforgeTask, StepforgeConfig]):
    def load(self):
        for file in sorted(Path(__file__).parent.glob(f"{self.config.split}-*.parquet")):
            for row in pq.read_table(file).to_pylist():
                if row["verifier"] is not None:
                    continue  # tests and programs are run by stepforge's sandbox, not here
                kept = {name: row[name] for name in ("prompt", "answer", "answer_kind", "difficulty", "pass_rate")}
                yield StepforgeTask(StepforgeData(id=row["problem_id"], **kept), self.config.task)


__all__ = ["StepforgeTaskset"]
'''


def package(name: str) -> dict[str, str]:
    module = f"stepforge_{name.lower()}"
    return {"pyproject.toml": PYPROJECT.format(module=module, dashed=module.replace("_", "-")), "__init__.py": MODULE}
