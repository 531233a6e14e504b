"""An engine: a small program in place of a model. It doubles numbers, and errs at a known rate."""

import re
from random import Random
from typing import Literal

from pydantic import Field

from stepforge.pipelines.library.own_function import FunctionEngine
from stepforge.schemas.record import Record


class CalculatorSettings(Record):
    kind: Literal["calculator"] = "calculator"
    error_rate: float = Field(default=0.2, ge=0, le=1)

    async def open(self) -> FunctionEngine:
        """Start the engine; the caller closes it."""
        return FunctionEngine(self._complete, name=self.kind)

    async def _complete(self, text: str, seed: int) -> str:
        start, times = (int(n) for n in re.findall(r"with (\d+) and double it (\d+)", text)[0])
        values = [start, *(int(n) for n in re.findall(r"= (\d+);", text))]
        draw = Random(f"{seed} {text}")
        written = []
        for i in range(len(values), times + 1):
            value = 2 * values[-1] + (2 if draw.random() < self.error_rate else 0)
            written.append(f"t{i} = {values[-1]} * 2 = {value}; ")
            values.append(value)
        return "".join([*written, f"Answer: {values[-1]}"])
