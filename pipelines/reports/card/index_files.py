"""The data sets described for programs: ``croissant.json`` (MLCommons' Croissant 1.1, with its Responsible-AI fields
filled from the run) and ``dataset_info.json``, LLaMA-Factory's index of a folder of data sets (``--dataset_dir``).

They have no date: data contains no times, and the publication date is not known here.
"""

from collections.abc import Mapping

import pyarrow as pa

from stepforge.labelers import speaking
from stepforge.pipelines.datasets.splits import SPLITS
from stepforge.pipelines.datasets.stamp import read_stamp, stamp_file
from stepforge.pipelines.exports import AnyExport
from stepforge.pipelines.exports.chat import Chat
from stepforge.pipelines.exports.contract import name_only
from stepforge.pipelines.reports.card.contents import Contents
from stepforge.pipelines.reports.card.front_matter import exports_with_rows, licenses_of, tags_of
from stepforge.pipelines.reports.card.sections import BIBTEX, LIMITS, decontamination
from stepforge.pipelines.reports.records import Report
from stepforge.pipelines.settings.run_file import RunFile
from stepforge.pipelines.storage.layout import Layout
from stepforge.pipelines.storage.shards import file_metadata
from stepforge.pipelines.terminal.tables import shown

CROISSANT = "croissant.json"
PARQUET = "application/vnd.apache.parquet"
TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
Node = Mapping[str, object]
CONTEXT: Mapping[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}


def croissant(run: RunFile, layout: Layout, report: Report, contents: Contents) -> Mapping[str, object]:
    filled = exports_with_rows(run, layout)
    described = [_described(export, layout) for export in filled]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "process_supervision",
        "description": "Which step of a chain of thought is wrong: a model's solutions, labeled step by step.",
        "license": licenses_of(run),
        "citeAs": BIBTEX,
        "version": report.run.version,
        "keywords": tags_of(run),
        **_responsible_ai(run, report, contents),
        "distribution": [entry for files, _ in described for entry in files],
        "recordSet": [record_set for _, record_sets in described for record_set in record_sets],
    }


def _responsible_ai(run: RunFile, report: Report, contents: Contents) -> Mapping[str, object]:
    policy = report.policy.identity
    sampled = "" if policy is None else f" by {name_only(policy.model)} at temperature {policy.temperature}"
    if report.policy.several:
        sampled = f" by {', '.join(map(name_only, report.policy.several))}"
    sources = ", ".join(f"{count} of {name}" for name, count in sorted(contents.sources.items()))
    labelers = [part.name for part in speaking(run.label)]
    return {
        "rai:dataCollection": f"Problems were generated or read from problem sets ({sources}); solutions were sampled"
        f"{sampled}. {report.cost.rollouts} rollouts in all.",
        "rai:dataCollectionType": ["Synthetic"],
        "rai:dataPreprocessingProtocol": [
            f"{stage}: {total.rows_out} of {total.rows_in} kept" for stage, total in report.stages.items()
        ]
        + [decontamination(run)],
        "rai:dataAnnotationProtocol": f"Each solution was labeled step by step by {labelers[0]}, from stored "
        "completions of the policy; a timeout or a truncated completion counts neither way.",
        "rai:machineAnnotationTools": [*labelers, f"stepforge {report.run.version}"],
        "rai:dataAnnotationAnalysis": _noise(report),
        "rai:dataBiases": "Problems were selected by the policy's own pass rate, values are this policy's, and steps "
        "after a first error have no label.",
        "rai:dataLimitations": [
            line.strip() for line in LIMITS.replace("\n  ", " ").splitlines() if line.startswith("- ")
        ],
        "rai:dataUseCases": "Training and evaluation of process reward models, verifiers and reasoning policies.",
        "rai:personalSensitiveInformation": "None was collected; texts of problem sets are passed on unchanged.",
        "rai:hasSyntheticData": True,
    }


def _noise(report: Report) -> str:
    audit = next(iter(report.audit.values()), None)
    if audit is None or audit.solutions_labeled_exactly is None:
        return "Not measured: no problem has a known truth for every step."
    return f"By the known truth, {shown(audit.solutions_labeled_exactly)} of solutions are labeled exactly."


def _described(export: AnyExport, layout: Layout) -> tuple[list[Node], list[Node]]:
    """Return the files of a data set, and a record set for each split."""
    stamp = read_stamp(stamp_file(layout, export.name))
    made = {} if stamp is None else {n: f for n, f in sorted(stamp.files.items()) if n.endswith(".parquet")}
    files: list[Node] = []
    records = []
    for split in SPLITS:
        names = [name for name in made if name.startswith(f"{split}-")]
        if not names:
            continue
        place = f"{export.name}/{split}"
        for name in names:
            path = f"{export.name}/{name}"
            files.append(_node("FileObject", path, contentUrl=path, encodingFormat=PARQUET, sha256=made[name].sha256))
        files.append(_node("FileSet", place, encodingFormat=PARQUET, includes=f"{place}-*.parquet"))
        schema = file_metadata(layout.datasets / export.name / names[0]).schema.to_arrow_schema()
        fields = [field for column in schema for field in _field(f"{place}-rows", place, column)]
        records.append(_node("RecordSet", f"{place}-rows", field=fields))
    return files, records


def _field(records: str, place: str, column: pa.Field) -> list[Node]:
    """Return a column of plain values, or of lists of these; nested columns are described only by the files."""
    many = pa.types.is_list(column.type)
    kind = {pa.string(): "sc:Text", pa.int64(): "cr:Int64", pa.float64(): "cr:Float64", pa.bool_(): "sc:Boolean"}.get(
        column.type.value_type if many else column.type
    )
    if kind is None:
        return []
    source = {"fileSet": {"@id": place}, "extract": {"column": column.name}}
    array = {"isArray": True, "arrayShape": "-1"} if many else {}
    return [_node("Field", f"{records}/{column.name}", dataType=kind, source=source, **array)]


def _node(kind: str, name: str, **about: object) -> Node:
    return {"@type": f"cr:{kind}", "@id": name, "name": name, **about}


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
        described = _llama_factory(export)
        files = sorted(path.name for path in (layout.datasets / export.name).glob("train-*.parquet"))
        for number, file in enumerate(files if described else ()):
            name = export.name if len(files) == 1 else f"{export.name}_{number}"
            entries[name] = {"file_name": f"{export.name}/{file}", "formatting": "sharegpt", **described, "tags": TAGS}
    return entries


def _llama_factory(export: AnyExport) -> Mapping[str, object]:
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
