"""Our own small reward model: how likely a policy finds a step's tokens, and a small head on that.

The policy's weights do not change. A step's features use nothing after the line break that ends it. A score is the
probability that the solution is right up to and including the step.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stepforge.pipelines.engines.model_files import CARRIED, embedded_folder
from stepforge.pipelines.engines.settings import EMBEDDED
from stepforge.pipelines.scorers.shapes import Reading, ScorerSettings
from stepforge.schemas.errors import BadInput

HEAD_FILE = "surprise_head.safetensors"
GROUPS = ("words", "repeated numbers", "new numbers", "last number")
"""A surprising word says little where wording is free; a number is copied or computed, the last often the result."""
OF_GROUP = ("lowest", "second lowest", "sum", "entropy at the lowest", "likeliest at the lowest", "gap", "tokens")
FEATURES = (
    *(f"{of}, {group}" for group in GROUPS for of in OF_GROUP),
    *(f"lowest of earlier steps, {group}" for group in GROUPS),
    "steps before",
)
"""Log-probabilities, entropies (nats) and counts of one step, each squeezed by ``squeeze``."""

if TYPE_CHECKING:
    from stepforge.pipelines.engines.tokenization import ModelTokenizer


class Surprise(ScorerSettings):
    """An unchanged policy, and a small head trained on any labels (docs/how-to/score.md)."""

    kind: Literal["surprise"] = "surprise"
    model: str = EMBEDDED
    """The policy: a folder, a hub name, ``embedded`` or ``embedded-free``."""
    head: str | None = None
    """Folder that holds ``surprise_head.safetensors``; by default the package's, or the model's own."""
    prompt: str = "{question}\n"
    """How the policy is prompted."""

    def readings(self, tokenizer: "ModelTokenizer", question: str, steps: Sequence[str]) -> list[Reading]:
        """Encode piece by piece, so every step begins on its own token; the prompt's end comes first."""
        ids = list(tokenizer.encode_prompt(self.prompt.replace("{question}", question), bos=False))
        at = [len(ids) - 1]
        for step in steps:
            ids += tokenizer.encode_prompt(f"{step}\n", bos=False)
            at.append(len(ids) - 1)
        return [Reading(tuple(ids), tuple(at))]

    def probabilities(self, tokenizer: "ModelTokenizer", outputs: Any, reading: Reading) -> list[float]:
        from stepforge.pipelines.scorers.surprise_head import loaded_head, step_features

        (scores,) = loaded_head(self.head_folder()).read_scores([step_features(outputs.cpu(), reading, tokenizer)])
        return list(scores)

    def check(self) -> None:
        """Check that the head is there. Raises BadInput: it is not, or an earlier version trained it."""
        from safetensors import SafetensorError, safe_open

        path = self.head_folder() / HEAD_FILE
        if not path.is_file():
            where = f"{self.head_folder()} holds no {HEAD_FILE}"
            raise BadInput(f"scorer: {where}; docs/how-to/score.md says how to train one")
        try:
            with safe_open(path, framework="np") as file:
                known = file.get_slice("mean").get_shape() == [len(FEATURES)]
        except (OSError, SafetensorError):
            known = False
        if not known:
            raise BadInput(f"scorer: {path} is not a head of this version; train it again (docs/how-to/score.md)")

    def head_folder(self) -> Path:
        if self.head is None and self.model in CARRIED:
            weights = embedded_folder(self.model)
            return weights.with_name(weights.name.replace("weights", "head"))
        return Path(self.head or self.model).expanduser()
