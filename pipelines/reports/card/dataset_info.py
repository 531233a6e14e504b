"""``dataset_info.json``: LLaMA-Factory's index of a folder of data sets (``--dataset_dir``)."""

from collections.abc import Mapping

from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.reports.card.front_matter import exports_with_rows
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout

DATASET_INFO = "dataset_info.json"
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(run: RunFile, layout: Layout) -> Mapping[str, object]:
    """Return an entry for each training file that LLaMA-Factory can read, by the data set's name.

    Rows that hold a rendered prompt are left out: it would add its own template around them.
    """
    entries = {}
    for export in exports_with_rows(run, layout):
        described = _described(export)
        files = sorted(path.name for path in (layout.datasets / export.name).glob("train-*.parquet"))
        for number, file in enumerate(files if described else ()):
            name = export.name if len(files) == 1 else f"{export.name}_{number}"
            entries[name] = {"file_name": f"{export.name}/{file}", "formatting": "sharegpt", **described, "tags": TAGS}
    return entries


def _described(export: AnyExport) -> Mapping[str, object]:
    if export.kind in ("verification", "rlhflow"):
        return {"columns": {"messages": "messages" if export.kind == "verification" else "conversations"}}
    if not isinstance(export, Chat) or not export.chat:
        return {}
    if export.answers == "two":
        columns = {"messages": "prompt", "chosen": "chosen", "rejected": "rejected"}
        return {"ranking": True, "columns": columns} if export.layout == "llama_factory" else {}
    if export.answers == "masked" or export.layout == "trl":
        return {}
    return {"columns": {"messages": "messages", **({"kto_tag": "label"} if export.kind == "kto" else {})}}
