"""How a policy is asked, sampled and cut into steps: the table ``[policy]`` of a run file."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stepforge.generators.segmenters import AnySegmenter, Line
from stepforge.generators.tool_calls import ToolKind
from stepforge.schemas.record import Record, holding
from stepforge.schemas.seeds import seed_of

NAME = r"^[A-Za-z0-9_.-]{1,40}$"


class Way(Record):
    """Another policy for some of the problems, chosen by their ids: the differences; the rest is as in ``[policy]``."""

    name: str = Field(pattern=NAME)
    """Added to the model's name wherever rows name their policy."""
    share: float = Field(ge=0, le=1)
    """Share of the problems that are asked so; 0 for one that only completes."""
    engine: str | None = Field(default=None, pattern=NAME)
    """Another model: the name of its table, ``[engines.<name>]``."""
    prompt: Annotated[str, holding("{question}")] | None = None
    chat: bool | None = None
    system: str | None = None
    temperature: float | None = Field(default=None, gt=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)

    @property
    def table(self) -> str:
        """The table of its engine in the run file."""
        return f"engines.{self.engine}" if self.engine else "engine"

    @property
    def changes(self) -> dict[str, object]:
        changed = self.model_dump(exclude={"name", "share", "engine"})
        return {name: value for name, value in changed.items() if value is not None}


class PolicySettings(Record):
    """How the model is asked, sampled and cut into steps."""

    prompt: Annotated[str, holding("{question}")] = "{question}\n"
    """``{question}`` is replaced by the question; the rest is sent unchanged."""
    chat: bool = False
    """Whether the prompt is sent as a user turn through the model's chat template."""
    system: str | None = None
    """The system turn, with ``chat``."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """0 always takes the likeliest token; servers and vLLM refuse more than 2."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1, le=10_000_000)
    """Longest solution or continuation, in tokens."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    segmenter: AnySegmenter = Line()
    tool: ToolKind | None = None
    """What a solution may call: ``Bob = <<24 * 37>>`` is computed, exactly by the ``calculator`` or by ``python`` in
    the sandbox, and the solution continues from there. The answer is a separate step, whose author is ``tool``."""
    max_calls: int = Field(default=8, ge=1)
    """Calls in one solution, if its problem sets no limit; further ones are refused."""
    answer: Literal["stated", "any"] = "any"
    """``stated``: the answer must be framed (boxed, ``####``, ``Answer:``, "the answer is"); ``any``: else the closing
    sentence's last number is taken, for models that answer freely."""

    repair: Annotated[str, holding("{message}")] | None = None
    """Prompt that tells the policy why its solution failed, with ``{message}`` for the verifier's message; it then
    writes another one, kept with the first. None: no second try."""
    ways: tuple[Way, ...] = ()
    """Other policies, each for its share of the problems; the rest is asked as here."""
    completer: str | None = None
    """Name of the way whose policy writes all completions that labels are made from; by default, each problem's
    completions are by the policy that solved it. It reads the text of others' solutions, with its own tokens."""

    @field_validator("ways")
    @classmethod
    def _shares_add_up(cls, ways: tuple[Way, ...]) -> tuple[Way, ...]:
        if sum(way.share for way in ways) > 1 + 1e-9:
            raise ValueError("their shares add up to more than 1")
        if len({way.name for way in ways}) < len(ways):
            raise ValueError("two of them have the same name")
        return ways

    @model_validator(mode="after")
    def _completer_is_there(self) -> "PolicySettings":
        names = [way.name for way in self.ways]
        if self.completer is not None and self.completer not in names:
            raise ValueError(
                f"completer: {self.completer} is not one of the ways ({', '.join(names) or 'there are none'})"
            )
        return self


def way_of(ways: Sequence[Way], problem: str) -> Way | None:
    """Return how a problem is asked; None: as the policy itself."""
    drawn = seed_of("way", problem) / 2**63
    for way in ways:
        drawn -= way.share
        if drawn < 0:
            return way
    return None
