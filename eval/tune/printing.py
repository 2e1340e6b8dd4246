"""What a training made, on a terminal or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from librarian import one_line

if TYPE_CHECKING:
    from rag.tuning.artefacts import Artefact


def print_artefact(artefact: Artefact, as_json: bool) -> None:
    """Its card, or its numbers and what to do next."""
    card = artefact.card
    if as_json:
        print(card.to_json(), end="")
        return
    for each in card.metrics:
        before = "" if each.before is None else f"{each.before:.4f} before, "
        sure = "" if each.p is None else f", p = {each.p:.3f}"
        print(one_line(f"{each.metric} of {each.count} ({each.data}): {before}{each.after:.4f} after{sure}"))
    print(one_line(f"{card.facts.get('steps')} steps in {card.facts.get('seconds')} s on {card.facts.get('device')}"))
    print(one_line(f"kept: {artefact.folder}"))
    print(one_line(f"To put it into service: librarian tune promote {card.name} --on DATASET"))
