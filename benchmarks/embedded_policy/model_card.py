"""The embedded policy's model card."""

from typing import Any

from benchmarks.embedded_policy.siblings import REAL_MODEL


def _phases(training: dict[str, Any]) -> str:
    shares = ((p.get("repair_share", p.get("repair")), p["minute"], p.get("free")) for p in training["phases"])
    return ", ".join(
        f"{share:.0%} from minute {minute:.0f}" + (f" (free wording {free:.0%} of examples)" if free else "")
        for share, minute, free in shares
    )


def card(figures: dict[str, Any], training: dict[str, Any], parameters: int) -> str:
    levels = sorted({level for cells in figures["pass_rate"].values() for level in cells})
    rows = [
        f"| {family} | " + " | ".join(f"{cells[level]:.2f}" if level in cells else "" for level in levels) + " |"
        for family, cells in figures["pass_rate"].items()
    ]
    positions = ", ".join(f"step {int(k) + 1}: {v}" for k, v in figures["first_error_positions"].items())
    minutes, tokens = training["seconds"] / 60, training["tokens"] / 1e6
    recovery, lucky = figures["recovery_rate_after_a_wrong_step"], figures["erroneous_solutions_that_end_right"]
    return "\n".join(
        [
            "# The embedded policy",
            "",
            f"A Llama-architecture language model of {parameters / 1e6:.2f} million parameters (bfloat16), trained",
            "from scratch on the project's own procedural problems, so the whole factory runs on a real model",
            "without downloading one. It solves nothing else.",
            "",
            f"Training: `python -m benchmarks.embedded_policy.train`, {minutes:.0f} minutes on a CPU,",
            f"{training['examples']:,} solutions, {tokens:.1f} million tokens. Half of the solutions hold a slip; the",
            f"wrong value itself carries no loss. Share of slips that are repaired: {_phases(training)}.",
            training.get("remarks", ""),
            "",
            "Measured by `python -m benchmarks.embedded_policy.examine` on",
            f"{figures['solutions']:,} solutions at temperature {figures.get('temperature', 1.0):g}.",
            "Pass rate by family and difficulty:",
            "",
            "| family | " + " | ".join(levels) + " |",
            "|---|" + "---|" * len(levels),
            *rows,
            "",
            f"Overall {figures['pass_rate_overall']:.2f}. Once a wrong step is in the prefix, {recovery:.1%} of",
            f"completions still reach the right answer; {lucky:.1%} of the solutions with a wrong step do.",
            "",
            f"First errors by position: {positions}.",
            "",
            *_siblings(figures),
            "License: Apache-2.0, like the code.",
            "",
        ]
    )


def _siblings(figures: dict[str, Any]) -> list[str]:
    if "siblings" not in figures:
        return []
    quantiles = ", ".join(f"{q} %: {rate:.2f}" for q, rate in figures["pass_rate_by_problem"].items())
    shared = [f"- {name}: {text}" for name, text in figures["siblings"].items()]
    return [
        f"In {figures['wording']} wording. Pass rate by problem, quantiles: {quantiles}.",
        "",
        "Solutions of one problem that share their first steps word for word:",
        "",
        *shared,
        f"- to compare, {REAL_MODEL}",
        "",
    ]
