"""What the processes of ``chaos`` find imported when they start: all that a run imports."""

import gc

import huggingface_hub.repocard_data
import pandas
import pyarrow.dataset
import ray
import tokenizers

from stepforge import cli
from stepforge.pipelines.engines import faulty_engine, scripted_engine
from stepforge.pipelines.reports import card
from stepforge.pipelines.reports import text as report_text
from stepforge.pipelines.run import actors, driver, preflight

__all__ = [
    "actors",
    "card",
    "cli",
    "driver",
    "faulty_engine",
    "huggingface_hub",
    "pandas",
    "preflight",
    "pyarrow",
    "ray",
    "report_text",
    "scripted_engine",
    "tokenizers",
]

gc.collect()
gc.freeze()  # else every run looks through all that was imported, three times
