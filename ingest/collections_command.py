"""`librarian collections …`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from librarian import DataDir, Json, QdrantUrl, Set

if TYPE_CHECKING:
    from rag.index import Index

HELP = """See, name, copy and delete the collections of an index.

A collection has a name of its own (documents-1a2b3c4d) and aliases (documents); people and settings use the alias.

  librarian collections list

  librarian collections snapshot documents backup.gz

  librarian collections snapshot documents s3://backups/librarian/ --keep 14

  librarian collections restore backup.gz --as documents-copy
"""

Name = Annotated[str, typer.Argument(metavar="NAME", help="A collection or an alias.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def app() -> typer.Typer:
    """The sub-command with its own sub-commands."""
    from ingest.snapshot_commands import restore, snapshot

    made = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    made.command("list")(list_)
    for command in (describe, alias, swap, optimize, delete, snapshot, restore):
        made.command()(command)
    return made


def list_(data_dir: DataDir = None, qdrant_url: QdrantUrl = None, set_: Set = None, json_: Json = False) -> None:
    """List the collections: aliases, points, documents, and what each was built with."""
    with opened(data_dir, qdrant_url, set_) as index:
        found = [_facts(index, each.name) for each in index.collections()]
    if json_:
        _print_json(found)
        return
    if not found:
        _say("There are no collections yet: librarian ingest FOLDER makes one.")
    rows = [("COLLECTION", "ALIASES", "DOCUMENTS", "POINTS", "BUILT WITH")]
    for each in found:
        names, numbers = ", ".join(each["aliases"]) or "-", (str(each["documents"]), str(each["points"]))
        rows.append((each["name"], names, *numbers, "; ".join(each["built_with"]) or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows if found else []:
        cells = [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]
        _say("  ".join(cells).rstrip())


def describe(
    name: Name, data_dir: DataDir = None, qdrant_url: QdrantUrl = None, set_: Set = None, json_: Json = False
) -> None:
    """Show one collection: aliases, documents and points by tenant, encoder and chunker."""
    with opened(data_dir, qdrant_url, set_) as index:
        facts = _facts(index, name, by_tenant=True)
    if json_:
        _print_json(facts)
        return
    _say(f"{facts['name']} in {facts['location']}")
    _say(f"  aliases     {', '.join(facts['aliases']) or '-'}")
    _say(f"  documents   {facts['documents']}")
    _say(f"  points      {facts['points']} of {facts['dense_size']} dimensions")
    for each in facts["built_with"]:
        _say(f"  built with  {each}")
    for tenant, held in facts["tenants"].items():
        _say(f"  tenant      {tenant}: {held['documents']} documents, {held['points']} points")


def alias(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The new name.")],
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="What it shall name.")],
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Give a collection one more name. An alias that names another one already is left as it is (see swap).

    librarian collections alias handbook documents-1a2b3c4d
    """
    from rag.errors import CollectionExists, CollectionNotFound
    from rag.records import check_not_reserved

    with opened(data_dir, qdrant_url, set_) as index:
        target = check_not_reserved(index.describe(collection).name)
        try:
            known = index.describe(alias).name
        except CollectionNotFound:
            known = target
        if known != target:
            raise CollectionExists(
                f"'{alias}' names {known} already: to let it name {target}, librarian collections swap {alias} {target}"
            )
        index.set_alias(alias, target)
    tell(json_, f"{alias} names {target}.", alias=alias, collection=target)


def swap(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="An alias.")],
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="What it shall name from now on.")],
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Let an alias name another collection, at once: a reader sees the old one or the new one.

    librarian collections swap documents documents-5e6f7a8b
    """
    from rag.errors import BadInput
    from rag.records import check_not_reserved

    with opened(data_dir, qdrant_url, set_) as index:
        old, new = index.describe(alias), index.describe(check_not_reserved(collection))
        if alias not in old.aliases:
            raise BadInput(f"'{alias}' is a collection's own name, no alias: only an alias can be swapped")
        index.set_alias(alias, new.name)
    back = (
        "" if old.name == new.name else f", was {old.name}. To go back: librarian collections swap {alias} {old.name}"
    )
    tell(json_, f"{alias} names {new.name}{back}", alias=alias, collection=new.name, was=old.name)


def optimize(
    name: Name, data_dir: DataDir = None, qdrant_url: QdrantUrl = None, set_: Set = None, json_: Json = False
) -> None:
    """Make searches of a large collection faster: the vectors' graph is built, and what was deleted is let go.

    It may take minutes. Documents that come later are searched without the graph until the next time. A Qdrant server
    does all that by itself.

    librarian collections optimize documents
    """
    import sys
    import time

    from rag.errors import BadInput
    from rag.index.embedded import EmbeddedIndex

    with opened(data_dir, qdrant_url, set_) as index:
        info = index.describe(name)
        if not isinstance(index, EmbeddedIndex):
            raise BadInput("a Qdrant server optimizes by itself: there is nothing to do")
        print(f"optimizing {info.name}, {info.points} points: this may take minutes", file=sys.stderr, flush=True)
        started = time.monotonic()
        index.optimize(info.name)
        seconds = round(time.monotonic() - started, 1)
    tell(json_, f"{info.name} is optimized ({seconds} s).", collection=info.name, points=info.points, seconds=seconds)


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A collection's own name.")],
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Though it is in use: an alias goes with it.")] = False,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Delete a collection with all that is in it. One that an alias names needs --force.

    librarian collections delete documents-1a2b3c4d
    """
    import sys

    from rag.errors import BadInput
    from rag.records import RESERVED

    with opened(data_dir, qdrant_url, set_) as index:
        info = index.describe(name)
        if info.name != name:
            raise BadInput(f"'{name}' is an alias of {info.name}: name that one to delete it, and its aliases with it")
        if name == RESERVED and not force:
            raise BadInput(f"'{name}' holds the service's jobs, feedback and issued keys: add --force to lose them all")
        if info.aliases and not force:
            raise BadInput(f"'{name}' is in use as {', '.join(info.aliases)}: swap that first, or add --force")
        if not yes:
            if not sys.stdin.isatty():
                raise BadInput(f"deleting '{name}' needs a yes: add --yes")
            typer.confirm(f"Delete {name} with its {info.points} points?", abort=True, err=True)
        index.drop(name)
    tell(json_, f"Deleted {name} ({info.points} points).", deleted=name, points=info.points, aliases=info.aliases)


@contextmanager
def opened(data_dir: str | None, qdrant_url: str | None, pairs: list[str] | None) -> Iterator[Index]:
    from rag.index import open_alone
    from rag.settings import load

    index = open_alone(load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=pairs).settings)
    try:
        yield index
    finally:
        index.close()


def _facts(index: Index, name: str, by_tenant: bool = False) -> dict[str, Any]:
    from rag.collections import built_with
    from rag.payload import HEADS
    from rag.schema import Scope

    info = index.describe(name)
    tenants = {}
    for tenant in index.tenants(info.name):
        scope = Scope.owner(tenant)
        points = index.count(info.name, scope) if by_tenant else 0
        tenants[tenant] = {"documents": index.count(info.name, scope, HEADS), "points": points}
    facts: dict[str, Any] = {
        "name": info.name,
        "aliases": list(info.aliases),
        "points": info.points,
        "documents": sum(each["documents"] for each in tenants.values()),
        "built_with": built_with(info),
    }
    if by_tenant:
        facts |= {"location": index.location, "dense_size": info.spec.dense_size, "tenants": tenants}
        facts["metadata"] = dict(info.spec.metadata)
    return facts


def tell(as_json: bool, line: str, **facts: Any) -> None:
    if as_json:
        _print_json(facts)
    else:
        _say(line)


def _say(line: str) -> None:
    from librarian import one_line

    print(one_line(line))


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
