"""Every training note of the card, run word for word but for its two paths by the library that it names.

The libraries live in environments of their own, made by ``make consumers``: TRL's latest, and 1.13.0, the last that
trains on stepwise rows. The model is the embedded policy; two optimizer steps, on the CPU.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import WEIGHTS, python_of, run_program
from exported_rows import ROWS, WITH_ROWS
from scripted_rows import exported_run

from stepforge.pipelines.exports import EXPORTS
from stepforge.pipelines.reports.card.training_notes import training_note
from stepforge.pipelines.storage.layout import Layout

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ON_CPU = ', max_steps=2, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to="none", save_strategy="no")'
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SAYS_WHAT_IT_DID = """
print("LOSS", [entry["loss"] for entry in trainer.state.log_history if "loss" in entry] or trainer.state.global_step)
print("COLUMNS", sorted(trainer.train_dataset.column_names))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return exported_run(tmp_path_factory.mktemp("consumed"), ROWS, [part() for part in EXPORTS])[1]


@pytest.fixture
def noted(folder: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run an export's note, paths filled in, with two steps in place of an epoch, and more code after it."""

    def run(kind: str, more: str, *, trains: bool = True) -> str:
        python = python_of("trl_stepwise" if kind == "stepwise" else "trl", capsys)
        model = tmp_path / "model"
        run_program(
            python,
            "from transformers import AutoTokenizer, AutoModelForCausalLM\nimport torch\n"
            f"tokenizer = AutoTokenizer.from_pretrained({str(WEIGHTS)!r})\n"
            f"tokenizer.chat_template = {TEMPLATE!r}\n"
            f"tokenizer.save_pretrained({str(model)!r})\n"
            f"model = AutoModelForCausalLM.from_pretrained({str(WEIGHTS)!r}, dtype=torch.float32)\n"
            f"model.save_pretrained({str(model)!r})\n",
            tmp_path,
        )
        part = next(part() for part in EXPORTS if part().kind == kind)
        (code,) = re.findall(r"```python\n(.*?)```", training_note(part).text, re.S)
        code = code.replace("path/of/this/folder", str(folder.datasets)).replace("path/of/a/model", str(model))
        code = re.sub(r'("trained"[^)]*)\)', r"\1" + ON_CPU, code)
        return run_program(python, (code if trains else code.replace("trainer.train()", "")) + more, tmp_path)

    return run


TRAINED = [part().kind for part in WITH_ROWS if "trainer.train()" in training_note(part()).text]


@pytest.mark.parametrize("kind", TRAINED)
def test_the_training_note_trains(kind: str, noted: Callable[..., str]) -> None:
    printed = noted(kind, SAYS_WHAT_IT_DID)
    assert "LOSS" in printed
    assert "nan" not in printed.lower()


@pytest.mark.parametrize("kind", ["prm800k", "step_dpo", "process_bench"])
def test_the_notes_without_a_trainer_run_too(kind: str, noted: Callable[..., str]) -> None:
    printed = noted(kind, "\nprint('ROWS', rows.num_rows, sorted(rows.column_names))\n")
    assert re.search(r"ROWS [1-9]", printed)
    assert kind != "prm800k" or "['completions', 'labels', 'prompt']" in printed
    assert kind != "step_dpo" or "['chosen', 'prompt', 'rejected']" in printed


LEARNED = """
end = tokenizer.eos_token_id
appended = [row[k][-1] == end for row in trainer.train_dataset for k in ("chosen_ids", "rejected_ids")]
batch = collator([trainer.train_dataset[i] for i in range(2)])
learned = [ids[mask.bool()] for ids, mask in zip(batch["input_ids"], batch["completion_mask"])]
texts = [tokenizer.decode(ids) for ids in learned]
print("APPENDED", all(appended))
print("LEARNT", any((ids == end).any().item() for ids in learned))
print("WHOLE", texts == [rows[i][k] for k in ("chosen", "rejected") for i in range(2)])
"""


def test_the_note_for_single_steps_leaves_no_end_of_text_in_the_loss(noted: Callable[..., str]) -> None:
    """TRL does append it, the collator takes it off, and nothing else is lost."""
    printed = noted("step_preference", LEARNED, trains=False)
    assert all(said in printed for said in ("APPENDED True", "LEARNT False", "WHOLE True"))


SAME = """
kept = [[label for label in row["labels"] if label != -100] for row in trainer.train_dataset]
print("SAME", kept == [[int(label) for label in row["labels"]] for row in rows], len(kept) > 0)
"""


def test_stepwise_labels_reach_the_trainer_as_they_are(noted: Callable[..., str]) -> None:
    assert "SAME True True" in noted("stepwise", SAME, trains=False)
