"""What the user asks to be published, and whether that may be."""

import re
from dataclasses import dataclass

from stepforge.generators.families.templates import Templates
from stepforge.generators.problem_sets import ProblemSet
from stepforge.generators.written import ModelSource
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.schemas.errors import BadInput

TAG = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class PublishRequest:
    """The options of one publication."""

    repo: str
    """``ORG/NAME`` of a data set repository."""
    public: bool = False
    tag: str | None = None
    """Name of the version; by default v1, v2, ..."""
    accept_unknown_license: bool = False

    def check(self) -> None:
        """Raise ``BadInput`` unless the names can be names on the Hub."""
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        try:
            validate_repo_id(self.repo)
            named = self.repo.count("/") == 1
        except HFValidationError:
            named = False
        if not named:
            raise BadInput("--repo: must be ORG/NAME, of letters, digits, '-', '_' and '.', such as my-org/step-labels")
        if self.tag is not None and (not TAG.fullmatch(self.tag) or self.tag == "main"):
            raise BadInput("--tag: must be letters, digits, '-', '_' and '.', such as v2 or 1.0.3")

    def check_licenses(self, licenses: dict[str, str | None]) -> None:
        """Raise ``BadInput`` if the data would become public and a source's license is unknown."""
        unknown = [name for name, license in licenses.items() if license is None]
        if self.public and unknown and not self.accept_unknown_license:
            raise BadInput(
                f"--public: the license of {', '.join(unknown)} is unknown; set `license` of the problem set in the "
                "run file, or give --accept-unknown-license if you know that you may publish it"
            )


def source_licenses(run: RunFile) -> dict[str, str | None]:
    """Return the license by problem set and template set; the problems of the other families are made here."""
    seeds = [part.seeds if isinstance(part, ModelSource) else part for part in run.generate]
    return {part.label: part.license for part in seeds if isinstance(part, ProblemSet | Templates)}
