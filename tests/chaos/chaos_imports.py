"""What the processes of ``chaos`` find imported when they start: all that a run imports."""

import gc
from importlib import import_module

for name in (
    "faulty_engine",
    "huggingface_hub.repocard_data",
    "pyarrow.dataset",
    "ray",
    "tokenizers",
    "stepforge.cli",
    "stepforge.pipelines.engines.scripted_engine",
    "stepforge.pipelines.reports.card",
    "stepforge.pipelines.reports.text",
    "stepforge.pipelines.run.actors",
    "stepforge.pipelines.run.driver",
    "stepforge.pipelines.run.preflight",
):
    import_module(name)
gc.collect()
gc.freeze()  # else every run looks through all that was imported, three times
