"""What the processes of ``chaos`` find imported when they start: all that a run imports."""

import huggingface_hub.repocard_data
import pandas
import pyarrow.dataset
import ray
import tokenizers

import cli
from pipelines import actors, card, driver, preflight, report_text
from pipelines.engines import faulty_engine, scripted_engine

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
