"""Each trainer loads the rows with its own released loader, in an environment of its own (``make consumers``).

NeMo-RL has no wheel of itself on PyPI, and NeMo Gym's wants a newer Python: their documented columns are checked.
"""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from environments import WEIGHTS, python_of, run_program
from exported_rows import ROWS
from scripted_rows import exported_run

from stepforge.pipelines.exports import (
    KTO,
    AnyExport,
    Preference,
    ProofVerification,
    Reflection,
    RejectionSampling,
    RLPrompts,
    StepAdvantages,
    StepPreference,
    Verification,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
HEAD = f"""
import glob
from datasets import load_dataset
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({str(WEIGHTS)!r})
tokenizer.chat_template = {TEMPLATE!r}
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
FOLDER = "FOLDER_OF_ROWS"
def load(name):
    return load_dataset(FOLDER, name, split="train", cache_dir="cache")
def files(name):
    return sorted(glob.glob(f"{{FOLDER}}/{{name}}/train-*.parquet"))
"""
TRL = """
from trl import apply_chat_template
from trl.rewards import accuracy_reward
for name in ("preference_trl", "kto_trl", "rejection_sampling_trl", "step_preference_trl"):
    rows = load(name)
    row = apply_chat_template(dict(rows[0]), tokenizer)
    ends = [row[key].endswith(tokenizer.eos_token) for key in ("chosen", "rejected", "completion") if key in row]
    print("TRL", name, len(rows), row["prompt"].endswith("<assistant>"), all(ends))
rows = load("rl_trl")
says = lambda text: [[{"role": "assistant", "content": text}]]
right = accuracy_reward(says("So " + rows[0]["solution"]), [rows[0]["solution"]])
print("REWARD", right, accuracy_reward(says("So \\\\boxed{12345678}"), [rows[0]["solution"]]))
"""
AXOLOTL = """
from axolotl.prompt_strategies.dpo.chat_template import default
from axolotl.utils.dict import DictDefault
source = {"field_messages": "prompt", "chat_template": "tokenizer_default"}
transform, _ = default(DictDefault({"chat_template": "tokenizer_default", "datasets": [source]}))
rows = load("preference_trl")
row = transform(rows[0], tokenizer=tokenizer)
print("AXOLOTL", len(rows), row["chosen"] == rows[0]["chosen"][0]["content"] + tokenizer.eos_token)
"""
OPENRLHF = """
from types import SimpleNamespace
from openrlhf.datasets import PromptDataset, RewardDataset, SFTDataset
def strategy(**keys):
    data = SimpleNamespace(apply_chat_template=True, multiturn=False, **keys)
    return SimpleNamespace(args=SimpleNamespace(data=data), print=print, is_rank_0=lambda: False)
pairs = RewardDataset(
    load("preference_trl"), tokenizer, 512, strategy(prompt_key="prompt", chosen_key="chosen", rejected_key="rejected"),
    is_dpo=True, num_processors=1,
)
print("OPENRLHF PAIRS", len(pairs), tokenizer.decode(pairs[0][0][0]).startswith("<user>"))
keys = strategy(input_key="prompt", output_key="completion")
single = SFTDataset(load("rejection_sampling_trl"), tokenizer, 512, keys, num_processors=1)
print("OPENRLHF SFT", len(single), int(single[0][2].sum()) > 0)
prompts = PromptDataset(load("rl_openrlhf"), tokenizer, strategy(input_key="input", label_key="label"))
print("OPENRLHF PROMPTS", len(prompts), prompts[0])
"""
VERL = """
from omegaconf import OmegaConf
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.reward_score import default_compute_score
options = OmegaConf.create({"cache_dir": "cache", "max_prompt_length": 512, "filter_overlong_prompts_workers": 1})
prompts = RLHFDataset(files("rl_verl"), tokenizer, options)
row = prompts[0]
truth = row["reward_model"]["ground_truth"]
score = lambda text: default_compute_score(row["data_source"], text, truth, row["extra_info"])["score"]
print("VERL PROMPTS", len(prompts), score(f"Answer: {truth}"), score("Answer: 12345678"))
options = OmegaConf.create({"max_length": 512, "truncation": "error", "pad_mode": "no_padding"})
single = MultiTurnSFTDataset(files("rejection_sampling_ms_swift"), tokenizer, options)
print("VERL SFT", len(single), int(single[0]["loss_mask"].sum()) > 0)
"""
VERIFIERS = """
import asyncio
from pathlib import Path
import verifiers.v1 as vf
from verifiers.v1.configs.agent import WireAgentConfig
from verifiers.v1.state import State
from verifiers.v1.task import WireTaskData
from verifiers.v1.trace import Trace
from verifiers.v1.utils.trace_store import read_episodes
episodes = read_episodes(Path(FOLDER, "step_advantages"), Trace[WireTaskData, State, WireAgentConfig])
(branch,) = episodes[0].traces[0].branches
print("EPISODES", len(episodes), len(branch.token_ids) == len(branch.advantages) == sum(branch.sampled_mask) > 0)
import stepforge_rl_verifiers as package
tasks = list(package.StepforgeTaskset(package.StepforgeConfig(id="stepforge-rl-verifiers")))
class Said:
    def __init__(self, text):
        self.last_reply = text
answers = (tasks[0].data.answer, "12345678")
rewards = [asyncio.run(tasks[0].right_answer(Said(f"\\\\boxed{{{answer}}}"))) for answer in answers]
print("TASKSET", len(tasks), rewards, isinstance(tasks[0], vf.Task))
"""
LLAMA_FACTORY = """
import importlib.machinery, json, sys, types
audio = types.ModuleType("torchaudio")  # its wheels do not load beside a torch without CUDA, and no row has sound
audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = audio
from types import SimpleNamespace
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
data = SimpleNamespace(
    dataset_dir=FOLDER, preprocessing_num_workers=None, streaming=False, max_samples=None, overwrite_cache=True,
    media_dir=None, data_shared_file_system=False,
)
model = SimpleNamespace(cache_dir="cache", hf_hub_token=None, ms_hub_token=None, om_hub_token=None)
training = SimpleNamespace(local_process_index=0, dataloader_num_workers=0)
for name in json.load(open(f"{FOLDER}/dataset_info.json")):
    (one,) = get_dataset_list([name], FOLDER)
    rows = _load_single_dataset(one, model, data, training)
    whole = sum(bool(row["_prompt"] and row["_response"]) for row in rows)
    print("LLAMA_FACTORY", name, len(rows), whole == len(rows), len(rows[0]["_response"]))
"""
MS_SWIFT = """
from swift.dataset import load_dataset as swift_load
options = {"split_dataset_ratio": 0, "load_from_cache_file": False, "remove_unused_columns": False}
for kind in ("preference", "kto", "rejection_sampling", "reflection", "rl"):
    name = f"{kind}_ms_swift"
    rows, _ = swift_load(files(name)[0], **options)
    losses = [turn.get("loss") for turn in rows[0]["messages"]]
    print("MS_SWIFT", name, len(rows) == len(load(name)), losses, rows[0].get("solution"))
"""
CHAT = (Preference, KTO, RejectionSampling, StepPreference, Reflection)


def parts() -> list[AnyExport]:
    layouts = ("trl", "llama_factory", "ms_swift", "nemo_rl")
    chat = [part(name=f"{part().kind}_{layout}", chat=True, layout=layout) for part in CHAT for layout in layouts]
    prompts = ("trl", "verl", "openrlhf", "ms_swift", "nemo_rl", "nemo_gym", "verifiers")
    rl = [RLPrompts(name=f"rl_{layout}", layout=layout) for layout in prompts]
    return [*chat, *rl, StepAdvantages(), ProofVerification(), Verification()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _, layout = exported_run(tmp_path_factory.mktemp("trainers"), ROWS, parts())
    return Path(str(layout.datasets))


@pytest.mark.parametrize(
    ("environment", "program", "expected"),
    [
        ("trl", TRL, ["TRL preference_trl", "TRL step_preference_trl", "True True", "REWARD [1.0] [0.0]"]),
        ("axolotl", AXOLOTL, ["AXOLOTL", "True"]),
        ("openrlhf", OPENRLHF, ["OPENRLHF PAIRS", "OPENRLHF SFT", "OPENRLHF PROMPTS", "True"]),
        ("verl", VERL, ["VERL PROMPTS", "1.0 -1.0", "VERL SFT", "True"]),
        ("verifiers", VERIFIERS, ["EPISODES", "TASKSET", "[1.0, 0.0] True"]),
        ("llama_factory", LLAMA_FACTORY, ["preference_llama_factory", "kto_llama_factory", "verification", "True 2"]),
        ("ms_swift", MS_SWIFT, ["reflection_ms_swift True [False, False, True]", "rl_ms_swift True", "\\boxed{"]),
    ],
)
def test_a_trainer_loads_the_rows(
    environment: str,
    program: str,
    expected: list[str],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    python = python_of(environment, capsys)
    shutil.copytree(folder / "rl_verifiers", tmp_path / "stepforge_rl_verifiers")  # as pip would lay it
    printed = run_program(python, HEAD.replace("FOLDER_OF_ROWS", str(folder)) + program, tmp_path)
    for text in expected:
        assert text in printed
    told = [line for line in printed.splitlines() if line.split(" ")[0].isupper()]
    assert told
    assert not [line for line in told if " False" in line and "[False" not in line]
    assert not [line for line in told if " 0 " in line]


def test_croissant_is_valid(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = python_of("croissant", capsys)
    program = f"import mlcroissant\nfound = mlcroissant.Dataset({str(folder / 'croissant.json')!r})\n"
    printed = run_program(
        python, program + "print(found.metadata.issues.errors, len(found.metadata.record_sets))", tmp_path
    )
    errors, sets = printed.rsplit(" ", 1)
    assert errors.strip() in ("set()", "[]", "{}")
    assert int(sets) > 20


def test_rows_for_nemo_have_their_documented_columns(folder: Path) -> None:
    """NeMo-RL: docs/design-docs and its preference processor; NeMo Gym 0.4: the schemas of two resource servers."""
    rows = pq.read_table(next((folder / "preference_nemo_rl").glob("train-*.parquet"))).to_pylist()
    for row in rows:
        assert row["context"][-1]["role"] == "user"
        assert [entry["rank"] for entry in row["completions"]] == [0, 1]
        assert all(entry["completion"][0]["role"] == "assistant" for entry in row["completions"])
        assert row["task_name"]
    rows = pq.read_table(next((folder / "rl_nemo_rl").glob("train-*.parquet"))).to_pylist()
    assert all(isinstance(row["problem"], str) and isinstance(row["expected_answer"], str) for row in rows)
    (lines,) = (folder / "rl_nemo_gym").glob("train-*.jsonl")
    for line in lines.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert row["responses_create_params"]["input"][0]["role"] == "user"
        assert row["question"] in row["responses_create_params"]["input"][0]["content"]
        assert row["expected_answer"]
    (lines,) = (folder / "proof_verification").glob("train-*.jsonl")
    for line in lines.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert row["ground_truth_verify_score"] in (0.0, 1.0)
        assert all(row[name] for name in ("problem", "proof", "ground_truth_judgement"))
