"""Are models trained on these labels better? Reward models and policies, on problems that no label comes from.

    python benchmarks/usefulness/__main__.py --trl-python .consumers/trl/bin/python     # made by `make consumers`

Draws solutions and labels with the embedded policy, trains reward models on the labels of every labeler at the same
size and at the same cost, and policies with TRL, in TRL's own environment. All that is drawn and trained is kept in
the folder, so that the same command goes on where it was stopped. Settings: ``benchmarks/usefulness/usefulness.toml``.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from benchmarks.usefulness.bench import run_bench
from benchmarks.usefulness.settings import read_settings
from benchmarks.usefulness.tables import tables
from stepforge.schemas.errors import BadInput, RunFailed

HERE = Path(__file__).parent


def main() -> int:
    """Read the arguments and run; 1 if a trainer failed, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="the scripted engine and a handful of problems")
    parser.add_argument("--config", type=Path, help="the settings (TOML)")
    parser.add_argument("--folder", type=Path, help="where everything drawn and trained is kept")
    parser.add_argument("--out", type=Path, help="where the figures go (JSON)")
    policies = parser.add_mutually_exclusive_group()
    policies.add_argument("--trl-python", type=Path, help="the interpreter of an environment with TRL in it")
    policies.add_argument("--skip-policy", action="store_true", help="reward models only")
    parser.add_argument("--skip-reward-models", action="store_true", help="policies only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name = "usefulness_smoke" if arguments.smoke else "usefulness"
    try:
        if arguments.trl_python is None and not (arguments.skip_policy or arguments.smoke):
            raise BadInput("policies are trained by TRL in its own environment: give --trl-python, or --skip-policy")
        result = run_bench(
            read_settings(arguments.config or HERE / f"{name}.toml"),
            arguments.folder or Path("runs") / name,
            arguments.out or HERE / "results" / f"{name}.json",
            lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True),
            arguments.trl_python,
            not arguments.skip_reward_models,
        )
    except (BadInput, RunFailed) as error:
        print(f"usefulness: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 1
    print(tables(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
