"""How far a passage reaches around its hit: as far as the chunks beside it fit the question too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """At most so many chunks `before` and `after` a hit, one by one outwards while they pass.

    A chunk passes if its cosine with the query and the hit's come, on average, to `share` of the best cosine; with a
    share of 0 every chunk does. `cosines` are those of the dense leg's candidates. A chunk that is none of them counts
    as the worst of them, and then only the one right after the hit may pass, for a text goes on more often than it
    looks back. Of a hit that is none of them nothing is known: it takes the chunk right after it.
    Chunks go by their ids.
    """

    before: int
    after: int
    share: float
    cosines: Mapping[str, float]

    def around(self, hit: str, beside: Callable[[int], str | None]) -> tuple[int, int]:
        """How many chunks before and after the hit are its passage's.

        `beside` gives the id of the chunk so many steps from the hit, negative before it; None where none is free.
        """
        if not (self.before or self.after):
            return 0, 0
        best, worst = (max(self.cosines.values()), min(self.cosines.values())) if self.cosines else (0.0, 0.0)

        def passes(step: int) -> bool:
            chunk = beside(step)
            if chunk is None:
                return False
            if self.share == 0:
                return True
            own, other = self.cosines.get(hit), self.cosines.get(chunk)
            if own is None:
                return step == 1
            if other is None and step != 1:
                return False
            return (own + (worst if other is None else other)) / 2 >= self.share * best

        back = forth = 0
        while back < self.before and passes(-back - 1):
            back += 1
        while forth < self.after and passes(forth + 1):
            forth += 1
        return back, forth
