"""The verifier service under load: verdicts per second, and honest clients next to hostile answers.

    python -m benchmarks.verify_service [--seconds 20]

Starts ``stepforge verify --serve``, then (1) sends batches of plain answers as fast as they are taken, (2) lets 64
clients send small batches at a fixed rate in which one answer in a hundred is hostile (powers of powers, endless sums,
deep fractions), and compares every honest verdict with the one that the same answer gets alone.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import httpx
import numpy as np
import psutil
import typer

CLIENTS = 64
BATCH = 16
HOSTILE_SHARE = 0.01
RATE = 1000.0
"""Verdicts a second that the clients together ask for in the second part."""
HOSTILE = (
    "9^{9^{9^{9}}}",
    r"\sum_{n=1}^{10^{12}} \frac{1}{n}",
    r"\int_0^{\infty} \frac{\sin(x^{99})}{x^{7}+\sqrt{x}+1} dx",
    "(x+1)^{9999}(x+2)^{9999}",
    "(a+b+c+d+e+f)^{90}",
    r"\prod_{n=1}^{\infty} (1+\frac{1}{n^{3}+x})",
    r"\lim_{n\to\infty}(1+\frac{1}{n^{n}})^{n}",
    "1" + "+1" * 900,
    "x_{1}+" * 200 + "1",
    "7" * 100_000,
)


class Part(NamedTuple):
    """One (response, reference) and whether it is hostile."""

    response: str
    reference: str
    hostile: bool


def honest(rng: random.Random) -> Part:
    """Return an answer as models write them: numbers, fractions, and now and then something symbolic."""
    value, right = rng.randrange(10_000), rng.random() < 0.6
    written = value if right else value + rng.randrange(1, 9)
    kind = rng.random()
    if kind < 0.8:
        return Part(f"First we add.\nThen we see that it holds.\nThe answer is {written}.", f"#### {value}", False)
    if kind < 0.97:
        return Part(rf"So it is \boxed{{\frac{{{written}}}{{7}}}}.", rf"\frac{{{value}}}{{7}}", False)
    return Part(rf"Hence \boxed{{\sqrt{{{written}}} + x}}.", rf"x + \sqrt{{{value}}}", False)


def hostile(rng: random.Random) -> Part:
    """Return a hostile answer, each a little different, so that none is remembered."""
    return Part(rf"\boxed{{{rng.choice(HOSTILE)} + {rng.randrange(1_000_000)}}}", "4", True)


async def post(client: httpx.AsyncClient, parts: Sequence[Part], name: str) -> list[str]:
    items = [{"response": part.response, "reference": part.reference} for part in parts]
    answer = await client.post("/verify", json={"items": items, "client": name})
    answer.raise_for_status()
    return [one["outcome"] for one in answer.json()["verdicts"]]


async def throughput(client: httpx.AsyncClient, seconds: float) -> float:
    """Return plain verdicts a second, batches of 256 from four clients."""
    rng = random.Random(1)
    batches = [
        [part for part in (honest(rng) for _ in range(400)) if "sqrt" not in part.response][:256] for _ in range(20)
    ]
    done, until = 0, time.monotonic() + seconds
    await post(client, batches[0], "warm")

    async def work(number: int) -> None:
        nonlocal done
        while time.monotonic() < until:
            done += len(await post(client, batches[(number + done) % len(batches)], f"plain-{number}"))

    began = time.monotonic()
    await asyncio.gather(*(work(number) for number in range(4)))
    return done / (time.monotonic() - began)


class Answered(NamedTuple):
    parts: list[Part]
    outcomes: list[str]
    seconds: float

    @property
    def hostile(self) -> bool:
        return any(part.hostile for part in self.parts)


async def under_attack(client: httpx.AsyncClient, seconds: float, share: float) -> list[Answered]:
    """Return the answers to 64 clients, ``share`` of whose parts are hostile."""
    answered: list[Answered] = []
    until = time.monotonic() + seconds

    async def work(number: int) -> None:
        rng = random.Random(number)
        pause = CLIENTS * BATCH / RATE
        await asyncio.sleep(rng.random() * pause)
        while time.monotonic() < until:
            parts = [hostile(rng) if rng.random() < share else honest(rng) for _ in range(BATCH)]
            began = time.monotonic()
            found = await post(client, parts, f"client-{number}")
            answered.append(Answered(parts, found, time.monotonic() - began))
            await asyncio.sleep(max(0.0, pause - answered[-1].seconds))

    await asyncio.gather(*(work(number) for number in range(CLIENTS)))
    return answered


async def measure(address: str, token: str, seconds: float, process: psutil.Process) -> None:
    limits = httpx.Limits(max_connections=CLIENTS + 8)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=120, limits=limits) as client:
        used = _processor(process)
        rate = await throughput(client, seconds)
        used = _processor(process) - used
        answered = await under_attack(client, seconds, HOSTILE_SHARE)
        every = [pair for batch in answered for pair in zip(batch.parts, batch.outcomes, strict=True)]
        calm = [pair for pair in every if not pair[0].hostile]
        changed = 0
        for start in range(0, len(calm), 512):
            chunk = calm[start : start + 512]
            alone = await post(client, [part for part, _ in chunk], "afterwards")
            changed += sum(now != then for now, (_, then) in zip(alone, chunk, strict=True))
    print(f"plain verdicts a second: {rate:.0f}, a processor second: {rate * seconds / used:.0f}")
    print(f"{CLIENTS} clients, batches of {BATCH}, {RATE:.0f} asked a second")
    print(f"honest answers: {len(calm)}, verdicts changed: {changed}")
    print(f"hostile answers: {len(every) - len(calm)}, {dict(Counter(o for part, o in every if part.hostile))}")
    print(f"seconds of honest requests: {_percentiles([b.seconds for b in answered if not b.hostile])}")
    print(f"of requests with a hostile answer: {_percentiles([b.seconds for b in answered if b.hostile])}")
    print(f"of all requests: {_percentiles([b.seconds for b in answered])}")


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(seconds, p)), 4) for p in (50, 99)} if seconds else {}


def main(seconds: float = 20.0, limit: float = 0.9) -> None:
    """``seconds``: length of each part; ``limit``: the service's limit for a request, in seconds."""
    command = [sys.executable, "-m", "stepforge", "verify", "--serve", "--seconds", str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            line = (service.stdout.readline() if service.stdout else "").split()
            if len(line) != 3:
                sys.exit("the service did not start")
            asyncio.run(measure(line[0], line[2], seconds, psutil.Process(service.pid)))
        finally:
            service.terminate()


if __name__ == "__main__":
    typer.run(main)
