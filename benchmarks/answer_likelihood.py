"""Where people find the first error, and where it shows without sampling: `answer_likelihood`, and a model's surprise.

    python -m benchmarks.answer_likelihood MODEL processbench_gsm8k.jsonl --out read.jsonl

MODEL is a folder or a name; a row has ``problem``, ``steps``, ``label`` and ``answer`` (GSM8K's worked one), and only
wrong answers with a labeled error count. The sums are those of the labeler, with transformers and one pass for all
prefixes of a solution; on one core of a CPU a 1.5B model reads a solution in about 15 seconds. Run again to resume.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from benchmarks.measured import machine
from stepforge.grading.final_answer import extract_answer
from stepforge.labelers.answer_likelihood import AnswerLikelihood
from stepforge.schemas.interval import wilson

PART = AnswerLikelihood()
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


class Reader:
    def __init__(self, model: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()

    def read(self, question: str, steps: list[str], answers: tuple[str, str]) -> dict[str, list[float]]:
        """Return log p(reference) - log p(own) before each step and at the end, and each step's log-probability and
        highest entropy of a token, in nats."""
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        head = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = self.tokenizer.encode(head)
        places = [len(ids)]
        for step in steps:
            ids += self.tokenizer.encode(f"{step}\n\n")
            places.append(len(ids))
        output = self.model(torch.tensor([ids]), use_cache=True)
        logs = torch.log_softmax(output.logits[0, :-1].float(), -1)
        told = logs.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        entropy = -(logs.exp() * logs).sum(-1)
        spans = [slice(begin - 1, end - 1) for begin, end in pairwise(places)]
        right, own = ([self._answer(output.past_key_values, n, answer) for n in places] for answer in answers)
        return {
            "ahead": [r - o for r, o in zip(right, own, strict=True)],
            "logprob": [float(told[span].sum()) for span in spans],
            "entropy": [float(entropy[span].max()) for span in spans],
        }

    def _answer(self, cache: DynamicCache, length: int, answer: str) -> float:
        lead, rest = self.tokenizer.encode(PART.lead), self.tokenizer.encode(answer + PART.close)
        known = DynamicCache()
        for i, layer in enumerate(cache.layers):
            known.update(layer.keys[:, :, :length], layer.values[:, :, :length], i)
        ids = torch.tensor([lead + rest])
        logs = torch.log_softmax(self.model(ids, past_key_values=known).logits[0, len(lead) - 1 : -1].float(), -1)
        return float(logs.gather(1, ids[0, len(lead) :, None]).sum())


def main(model: str, rows: Path, out: Annotated[Path, typer.Option()] = Path("read.jsonl")) -> None:
    torch.set_num_threads(1)
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    known = {row["id"] for row in done}
    reader = None
    for row in map(json.loads, rows.read_text().splitlines()):
        own = extract_answer("\n\n".join(row["steps"]))
        if row["final_answer_correct"] or row["label"] < 0 or row["id"] in known or own is None:
            continue
        reader = reader or Reader(model)
        answers = row["answer"].rpartition("####")[2].strip().replace(",", ""), own
        with torch.inference_mode():
            done.append({"id": row["id"], "label": row["label"], **reader.read(row["problem"], row["steps"], answers)})
        with out.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(f"{len(done)} read", end="\r", flush=True)
    print(f"\n{machine()}\n\n| named exactly, of {len(done)} | 95 % |\n|---|---|")
    named = {
        "largest fall of log p(reference) - log p(own)": [
            _least([b - a for a, b in pairwise(row["ahead"])]) for row in done
        ],
        "step with the lowest log-probability": [_least(row["logprob"]) for row in done],
        "step with the token of highest entropy": [_least([-e for e in row["entropy"]]) for row in done],
        "always the second step": [min(1, len(row["logprob"]) - 1) for row in done],
    }
    for name, steps in named.items():
        hits = sum(step == row["label"] for step, row in zip(steps, done, strict=True))
        low, high = wilson(hits, len(done))
        print(f"| {name} | {hits}: {hits / len(done):.2f} ({low:.2f} to {high:.2f}) |")
    print(f"| a random step | {sum(1 / len(row['logprob']) for row in done) / len(done):.2f} |")


def _least(values: list[float]) -> int:
    return values.index(min(values))


if __name__ == "__main__":
    typer.run(main)
