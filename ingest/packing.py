"""Units to chunks: as full as a limit lets them be, cut at the best place near their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.units import CHARACTERS_PER_TOKEN, Break, Unit

# A chunk ends where a section or a block does once it is this full. What is smaller is joined with what follows: alone
# it says too little.
FULL_ENOUGH = {Break.SECTION: 0.3, Break.BLOCK: 0.4, Break.SENTENCE: 2.0, Break.LINE: 2.0, Break.WORD: 2.0}

# A chunk that must be cut is cut where it is at least this full.
LEAST_FILL = 0.5

# What a better place to cut is worth, in shares of a chunk that lie between it and where the cut would be even.
WORTH = {Break.WORD: -0.5, Break.LINE: 0.0, Break.SENTENCE: 0.25, Break.BLOCK: 0.5, Break.SECTION: 0.75}
_BEHIND_A_HEADING = -1.0


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk's place, the headings that all of it stands under, and a header row that its embedding repeats."""

    start: int
    end: int
    path: tuple[str, ...]
    header: tuple[int, int] | None = None


def pack(units: Sequence[Unit], limit_of: Callable[[Unit], int]) -> list[Span]:
    """Join neighbours while they fit, up to the end of a section or block that fills the chunk well enough.

    `limit_of` gives the tokens that a chunk may have which begins with a unit. Linear in the number of units.
    """
    spans: list[Span] = []
    first = 0
    while first < len(units):
        limit = limit_of(units[first])
        full_enough = {kind: share * limit for kind, share in FULL_ENOUGH.items()}
        last, size = first + 1, units[first].tokens
        cut = False
        while last < len(units):
            if size >= full_enough[units[last].before]:
                break
            size += _gap(units, last) + units[last].tokens
            if size > limit:
                cut = True
                break
            last += 1
        if cut:
            last = _best_cut(units, first, last, limit)
        spans.append(_joined(units[first:last]))
        first = last
    return spans


def _gap(units: Sequence[Unit], number: int) -> int:
    """Tokens that blank lines and link definitions in front of a unit may come to."""
    return (units[number].start - units[number - 1].end) // CHARACTERS_PER_TOKEN


def _best_cut(units: Sequence[Unit], first: int, last: int, limit: int) -> int:
    """The unit, of those after `first` up to `last`, that should begin the next chunk."""
    even = _even_size(units, first, limit)
    best, best_worth = last, float("-inf")
    size = 0
    for number in range(first + 1, last + 1):
        size += units[number - 1].tokens
        if size < LEAST_FILL * limit and number < last:
            continue
        worth = WORTH[units[number].before] - abs(size - even) / limit
        worth += _BEHIND_A_HEADING if units[number - 1].is_heading else 0.0
        if worth >= best_worth:
            best, best_worth = number, worth
    return best


def _even_size(units: Sequence[Unit], first: int, limit: int) -> float:
    """The size at which the rest of the section falls into chunks of one size, rather than leave a crumb at its end."""
    rest = 0
    for number in range(first, len(units)):
        if number > first and units[number].before is Break.SECTION:
            break
        rest += units[number].tokens
        if rest > 3 * limit:
            return float(limit)
    return rest / max(1, -(-rest // limit))


def _joined(units: Sequence[Unit]) -> Span:
    """One span over the units, under the headings that all of them share."""
    path = units[0].path
    for unit in units[1:]:
        if unit.path != path:
            common = 0
            while common < min(len(path), len(unit.path)) and path[common] == unit.path[common]:
                common += 1
            path = path[:common]
    return Span(units[0].start, units[-1].end, path, units[0].header)
