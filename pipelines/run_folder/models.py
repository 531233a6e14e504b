"""The models of a run folder in ``models.json``: another one at the same address or path must not continue its work."""

from collections.abc import Mapping

from stepforge.pipelines.settings.digest import content_settings, digest_of
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.checksummed import read_record, write_checksummed
from stepforge.pipelines.storage.layout import Layout
from stepforge.schemas.errors import BadInput
from stepforge.schemas.protocols import EngineIdentity
from stepforge.schemas.record import Record


class _Models(Record):
    """``models.json``."""

    models: dict[str, str]
    """Name and digest of each, by its table in the run file; a judge, which may change, by its settings too."""


def check_models(run: RunFile, layout: Layout, found: Mapping[str, EngineIdentity], *, record: bool) -> None:
    """Compare engines, by table, with those that the folder was made with; with ``record``, add new ones to them.

    Raises:
        BadInput: one is another model now.
    """
    path = layout.folder / "models.json"
    known = read_record(path, _Models, "the models").models if path.exists() else {}
    judge = digest_of({"judge": content_settings(run)["judge"]})
    now = dict(known)
    for table, identity in found.items():
        key, model = f"judge {judge}" if table == "judge" else table, f"{identity.model} {identity.digest}".strip()
        if now.setdefault(key, model) != model:
            raise BadInput(
                f"{table}: {layout.folder} was made with {now[key]}, and now it is {model}; "
                "start the first model again, or give another --out"
            )
    if record and now != known:
        write_checksummed(path, {"models": now})
