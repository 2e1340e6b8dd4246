"""`librarian tune list` and `librarian tune show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from librarian import DataDir, Json, Set, one_line

if TYPE_CHECKING:
    from rag.tuning.artefacts import Artefact
    from rag.tuning.in_service import InService


def list_(data_dir: DataDir = None, set_: Set = None, json_: Json = False) -> None:
    """Show what was tuned, and which of it is in service."""
    import json
    import sys

    from rag.settings import load
    from rag.tuning.registry import Registry

    registry = Registry.of(load({"data_dir": data_dir}, pairs=set_).settings)
    found, refused = registry.list()
    served = registry.in_service()
    rows = [_row(each, served) for each in found]
    if json_:
        print(json.dumps({"artefacts": rows, "refused": [str(each) for each in refused]}, indent=2, ensure_ascii=False))
        return
    if not rows:
        print(one_line(f"Nothing has been tuned yet in {registry.folder}."))
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        mark = "in service" if row["in_service"] else ""
        print(one_line(f"{row['name']:{width}}  {row['kind']:8}  {mark:10}  {row['created']}  from {row['base']}"))
    for each in refused:
        print(one_line(f"librarian: {each}"), file=sys.stderr)


def show(
    name: Annotated[str, typer.Argument(help="The artefact's name, as `librarian tune list` shows it.")],
    data_dir: DataDir = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Show an artefact's card, once its files are seen to be those that were made."""
    from rag.settings import load
    from rag.tuning.readme import readme
    from rag.tuning.registry import Registry

    artefact = Registry.of(load({"data_dir": data_dir}, pairs=set_).settings).get(name)
    text = artefact.card.to_json() if json_ else readme(artefact.card)
    for line in text.splitlines():
        print(one_line(line))


def _row(artefact: Artefact, served: InService) -> dict[str, Any]:
    card = artefact.card
    now = served.now(card.kind)
    return {
        "name": card.name,
        "kind": card.kind,
        "base": card.base.name,
        "created": card.created,
        "in_service": now is not None and now.name == card.name,
        "folder": str(artefact.folder),
    }
