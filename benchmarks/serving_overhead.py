"""What Librarian adds to a real model: the same prompts to vLLM directly and through the service, turn by turn.

The prompt that Librarian assembles is taken from POST /v1/context, and vLLM gets it with the same sampling, so both
ways the model does the same work; each prompt is sent once before, so both ways it is in the prefix cache. Pairs run
one after the other, and who comes first changes from pair to pair.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from serving_load import request

SAMPLING = {"temperature": 0.0, "frequency_penalty": 0.2}  # Librarian's defaults, which a direct caller must say
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer: seconds from the request to its first text and to its last byte, its and its prompt's tokens by the
    model's count.

    `timings_ms` is what the service says of itself; empty for the model.
    """

    first_s: float
    whole_s: float
    tokens: int
    timings_ms: dict[str, float]
    prompt: int

    @property
    def per_token_s(self) -> float:
        """A token after the first one, on average."""
        return (self.whole_s - self.first_s) / max(1, self.tokens - 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt, both ways."""

    direct: Timed
    served: Timed

    @property
    def added_first_ms(self) -> float:
        """What the first token comes later by, the retrieval that the service measured taken off."""
        return (self.served.first_s - self.direct.first_s) * 1e3 - self.served.timings_ms.get("retrieve", 0.0)

    @property
    def added_per_token_ms(self) -> float:
        """What a token takes longer."""
        return (self.served.per_token_s - self.direct.per_token_s) * 1e3


@dataclass(frozen=True, slots=True)
class Overhead:
    """`pairs`: one stream at a time, answers of equal length only, of `asked`. Then tokens a second of `streams` at
    once, in rounds that took turns: (directly, through Librarian)."""

    asked: int
    pairs: tuple[Pair, ...]
    streams: int
    rounds: tuple[tuple[float, float], ...]

    @property
    def share(self) -> float:
        """Librarian's share of the model's own throughput, median over the rounds."""
        return statistics.median(served / direct for direct, served in self.rounds)


async def ask(port: int, body: Body) -> Timed:
    """One streamed answer. What comes is parsed once it is whole. Raises RuntimeError where it is no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    reads: list[tuple[float, bytes]] = []
    try:
        started = time.perf_counter()
        writer.write(request(port, body))
        while not (reads and reads[-1][1].endswith(b"0\r\n\r\n")):
            data = await reader.read(2**18)
            if not data:
                raise RuntimeError(f"the answer broke off: {b''.join(each for _, each in reads)[-500:]!r}")
            reads.append((time.perf_counter() - started, data))
    finally:
        writer.close()
    first_s, chunks = 0.0, []
    for at, data in reads:
        for line in data.split(b"\n"):
            if line.startswith(b"data: {"):
                chunks.append(json.loads(line[6:]))
                if not first_s and any(each["delta"].get("content") for each in chunks[-1].get("choices", ())):
                    first_s = at
    usage = next((each["usage"] for each in reversed(chunks) if each.get("usage")), None)
    if usage is None or not first_s:
        raise RuntimeError(f"no answer came: {reads[0][1][:500]!r}")
    timings = next((each["timings_ms"] for each in chunks if "timings_ms" in each), {})
    return Timed(first_s, reads[-1][0], usage["completion_tokens"], timings, usage["prompt_tokens"])


def bodies(librarian_port: int, model: str, question: str, tokens: int) -> tuple[Body, Body]:
    """The same request twice: for the model, with Librarian's prompt, and for Librarian."""
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    found = httpx2.post(
        f"http://127.0.0.1:{librarian_port}/v1/context", json={"query": question}, trust_env=False, timeout=120
    ).json()
    direct = {"model": model, "messages": found["messages"], "max_completion_tokens": tokens, **SAMPLING, **stream}
    asked = [{"role": "user", "content": question}]
    return direct, {"model": "librarian", "messages": asked, "max_tokens": tokens, **stream}


async def measure(
    model_port: int,
    librarian_port: int,
    requests: Sequence[tuple[Body, Body]],
    repeats: int,
    streams: int,
    rounds: int,
    say: Callable[[str], None],
) -> Overhead:
    """Pairs of single streams, `repeats` for each request; then `rounds` of all requests, `streams` at a time."""

    async def directly(number: int) -> Timed:
        return await ask(model_port, requests[number][0])

    async def through(number: int) -> Timed:
        return await ask(librarian_port, requests[number][1])

    for number in range(len(requests)):
        await directly(number)
        await through(number)
    pairs = []
    for turn in range(repeats * len(requests)):
        number = turn % len(requests)
        if (turn + turn // len(requests)) % 2:
            served, direct = await through(number), await directly(number)
        else:
            direct, served = await directly(number), await through(number)
        pairs.append((number, Pair(direct, served)))
    equal = [(number, each) for number, each in pairs if each.direct.tokens == each.served.tokens]
    say(f"  {len(equal)} of {len(pairs)} pairs are of equal length")
    usable = sorted({number for number, _ in equal})  # where Librarian stops a model that goes round, it does less
    found = []
    for turn in range(rounds):
        order = (directly, through) if turn % 2 == 0 else (through, directly)
        rates = {way: await _throughput(way, usable, streams) for way in order}
        found.append((rates[directly], rates[through]))
        say(f"  {streams} at once: {found[-1][0]:.1f} tokens/s directly, {found[-1][1]:.1f} through Librarian")
    return Overhead(len(pairs), tuple(each for _, each in equal), streams, tuple(found))


async def _throughput(way: Callable[[int], Any], numbers: Sequence[int], streams: int) -> float:
    """Tokens a second over all of the requests three times, `streams` at a time."""
    left = iter([*numbers] * 3)
    tokens = 0

    async def worker() -> None:
        nonlocal tokens
        for number in left:
            answer = await way(number)
            tokens += answer.tokens

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(worker())
    return tokens / (time.perf_counter() - started)
