"""Usage logs: a thumb or an edit on a solution that someone was shown. They count little, and only with consent."""

from collections.abc import Iterable, Iterator

from stepforge.pipelines.review.formats.contract import Rows, Said, Task
from stepforge.schemas.errors import BadInput
from stepforge.schemas.review import Finding, Origin

EVENTS: dict[str, Finding] = {"thumb_up": "right", "thumb_down": "wrong", "edit": "wrong", "accept": "right"}
NEEDED = ("problem_id", "solution_id", "event", "user", "at", "consent", "license")


class UsageLog:
    """JSON lines, import only: ``step`` is 1-based, and absent if the event is about the whole solution."""

    name: Origin = "usage"

    def export(self, tasks: Iterable[Task]) -> str:
        """This format cannot be exported. Raises BadInput: always."""
        raise BadInput("--format usage: import only; export label_studio, argilla or prm800k")

    def read(self, rows: Rows) -> Iterator[Said]:
        """Yield a weak finding for each event.

        Raises BadInput: an event has no consent, no license, or lacks something else.
        """
        for where, line in rows:
            missing = next((name for name in NEEDED if not str(line.get(name) or "").strip()), None)
            if missing:
                raise BadInput(f"{where}: has no {missing}; an event needs {', '.join(NEEDED)}")
            if line["event"] not in EVENTS:
                raise BadInput(f"{where}: event {line['event']!r} is unknown; there are {', '.join(EVENTS)}")
            step = line.get("step")
            if step is not None and (not isinstance(step, int) or step < 1):
                raise BadInput(f"{where}: step is a number from 1")
            yield Said(
                step=None if step is None else step - 1,
                finding=EVENTS[line["event"]],
                reviewer=str(line["user"]),
                at=str(line["at"]),
                problem_id=str(line["problem_id"]),
                solution_id=str(line["solution_id"]),
                note=str(line.get("note") or ""),
                consent=str(line["consent"]),
                license=str(line["license"]),
            )
