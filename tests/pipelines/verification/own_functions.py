"""Verifiers of a user's own, good and bad."""

import os
import time


def exact(response: str, reference: str) -> bool | None:
    if "slow" in response:
        time.sleep(60)
    if "die" in response:
        os._exit(1)
    if "raise" in response:
        raise RuntimeError("no")
    return None if "unknown" in response else response == reference


def number(response: str, reference: str) -> float:
    return 1.0


not_a_function = 3
