"""A verifiers taskset as a small Python package with its rows: the questions, and our grader as the reward.

The folder of the data set can be installed directly (``pip install DIR/datasets/rl_prompts``). The package needs
verifiers 0.4 and stepforge where it runs; it is text here, and nothing of it is imported.
"""

from pathlib import Path

HERE = Path(__file__).parent


def package(name: str) -> dict[str, str]:
    module = f"stepforge_{name.lower()}"
    project = (HERE / "pyproject.txt").read_text(encoding="utf-8")
    named = project.replace("MODULE", module).replace("DISTRIBUTION", module.replace("_", "-"))
    return {"pyproject.toml": named, "__init__.py": (HERE / "module.txt").read_text(encoding="utf-8")}
