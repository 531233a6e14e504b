"""Other tools' formats, to export items and import findings."""

from stepforge.pipelines.review.formats.argilla import Argilla
from stepforge.pipelines.review.formats.contract import Said, Task
from stepforge.pipelines.review.formats.label_studio import LabelStudio
from stepforge.pipelines.review.formats.prm800k import PRM800KLines
from stepforge.pipelines.review.formats.usage import UsageLog

AnyFormat = LabelStudio | Argilla | PRM800KLines | UsageLog
FORMATS: dict[str, AnyFormat] = {one.name: one for one in (LabelStudio(), Argilla(), PRM800KLines(), UsageLog())}

__all__ = ["FORMATS", "AnyFormat", "Said", "Task"]
