"""How much of a ranking can be scored in a given time: groups from its head, at the speed measured so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def score_within(
    costs: Sequence[float],
    group: int,
    seconds: float,
    score: Callable[[range], list[float]],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Scores of the first n items: group after group until one would not fit; the first is always scored.

    `costs` say what each item takes relative to the others, in any unit above 0; `score` is given the places of a
    group. A group is left out where the time spent, times what all costs up to its end come to over those already
    paid, passes `seconds`.
    """
    started = clock()
    found: list[float] = []
    paid = 0.0
    while len(found) < len(costs):
        places = range(len(found), min(len(found) + group, len(costs)))
        cost = sum(costs[place] for place in places)
        if found and (clock() - started) * (paid + cost) / paid > seconds:
            break
        found += score(places)
        paid += cost
    return found
