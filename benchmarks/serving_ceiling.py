"""How many streams one core carries: more and more clients, until the p99 of the first token passes its limit."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_load import Load, load
from serving_processes import Process

LIMIT_MS = 250.0  # of the first token's p99
KEEPS_UP = 0.97  # of the tokens that the model sends at its pace, so many must arrive
STEP = 1.1  # the ceiling is known to a tenth

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Try:
    """One number of streams. `cpu`: processor time of each process over the time measured, 1: a whole core."""

    load: Load
    cpu: Mapping[str, float]
    holds: bool


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What one server carried on its core: all that was tried, in order, and the best that held."""

    name: str
    what: str
    tries: tuple[Try, ...]

    @property
    def best(self) -> Try | None:
        """The most streams that held."""
        return max((each for each in self.tries if each.holds), key=lambda each: each.load.streams, default=None)


def find_ceiling(
    name: str,
    what: str,
    server: Process,
    model: Process,
    bodies: Sequence[Body],
    pace: tuple[float, int],
    start: int,
    measure_s: float,
    say: Callable[[str], None],
) -> Ceiling:
    """Double from `start` until it no longer holds, or halve until it does, then close in.

    `pace`: tokens a second of a stream, and of an answer. Streams begin evenly over the time that one answer takes.
    """
    tries: list[Try] = []

    def attempt(streams: int) -> bool:
        rate, tokens = pace
        before: dict[str, float] = {}

        def look() -> None:
            before.update({each.name: each.cpu_s() for each in (server, model)}, clients=time.process_time())

        gc.collect()
        measured = asyncio.run(load(server.port, bodies, streams, tokens / rate, measure_s, look))
        after = {each.name: each.cpu_s() for each in (server, model)} | {"clients": time.process_time()}
        cpu = {name: (after[name] - before[name]) / measured.seconds for name in after}
        expected = streams * rate * measured.seconds
        holds = (
            measured.percentile_ms(0.99) <= LIMIT_MS
            and not measured.failures
            and measured.tokens >= KEEPS_UP * expected
        )
        tries.append(Try(measured, cpu, holds))
        say(
            f"  {name}, {what}: {streams} streams: {measured.tokens_per_s:,.0f} tokens/s "
            f"({measured.tokens / expected:.0%}), first token p99 {measured.percentile_ms(0.99):.0f} ms, "
            f"{measured.failures} failures, cores: {', '.join(f'{n} {v:.0%}' for n, v in tries[-1].cpu.items())}"
        )
        return holds

    low, high = 0, start
    while attempt(high):
        low, high = high, high * 2
    while high > 1 and not low:
        high, low = (high, high // 2) if attempt(high // 2) else (high // 2, 0)
    while low and high / low > STEP:
        middle = round((low * high) ** 0.5)
        if middle in (low, high):
            break
        low, high = (middle, high) if attempt(middle) else (low, middle)
    return Ceiling(name, what, tuple(tries))
