"""`librarian feedback …`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from librarian import DataDir, Json, QdrantUrl, Set, Tenant, one_line

if TYPE_CHECKING:
    from rag.feedback import Wanted

HELP = """See and export what people said of answers (thumbs and comments).

  librarian feedback list --rating down

  librarian feedback export --format eval --out rated

  librarian feedback export --format pairs --out pairs.jsonl
"""


class Rated(StrEnum):
    """Which ratings."""

    UP = "up"
    DOWN = "down"
    ALL = "all"


class Format(StrEnum):
    """What an export is for."""

    EVAL = "eval"
    PAIRS = "pairs"
    JSONL = "jsonl"


Verified = Annotated[bool, typer.Option("--verified", help="Only of answers that the service itself remembered.")]


def app() -> typer.Typer:
    """The sub-command with its own sub-commands."""
    made = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    made.command("list")(list_)
    made.command()(export)
    return made


def list_(
    rating: Annotated[Rated, typer.Option("--rating", "-r", help="Only these.")] = Rated.ALL,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many of the newest.")] = 20,
    verified: Verified = False,
    tenant: Tenant = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """List what was said of answers, newest first.

    librarian feedback list --rating down
    """
    import json
    import time

    from rag.settings import load
    from serve.feedback_export import everything
    from serve.feedback_reading import reading

    settings = load({"tenant": tenant, "data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_).settings
    with reading(settings) as feedback:
        said = feedback.read(_wanted(rating, verified))[:limit]
    if json_:
        typer.echo(json.dumps(everything(said), indent=2, ensure_ascii=False))
        return
    if not said:
        typer.echo("Nothing was said of answers yet: people rate them on the page, or with POST /v1/feedback.")
    for each in said:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(each.created))
        known = "" if each.verified else "  (as told by the caller)"
        typer.echo(one_line(f"{when}  {each.rating:4}  {each.question}{known}"))
        if each.comment:
            typer.echo(one_line(f"    said: {each.comment}"))
        for document in dict.fromkeys(passage.document for passage in each.cited):
            typer.echo(one_line(f"    cites {document}"))


def export(
    format_: Annotated[Format, typer.Option("--format", "-f", help="A test set, tuning pairs, or all that is known.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE|FOLDER", help="A folder for eval; else a file, or stdout.")
    ] = None,
    rating: Annotated[Rated | None, typer.Option("--rating", "-r", help="Only these (jsonl).")] = None,
    verified: Verified = False,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Of this one; eval: whose documents are judged.")
    ] = None,
    tenant: Tenant = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Export what was said of answers as a test set (eval), as pairs for tuning, or as it is kept (jsonl).

    eval and pairs are made of what answers rated up cite; one query in five is kept for testing and is in no pair.

      librarian feedback export --format eval --out rated

      librarian eval retrieval rated
    """
    import json

    from rag.errors import BadInput
    from rag.settings import load
    from serve import feedback_export
    from serve.feedback_reading import reading

    if format_ is Format.EVAL and out is None:
        raise BadInput("a test set is a folder: name it with --out FOLDER.")
    if format_ is not Format.JSONL and rating is not None:
        raise BadInput(f"--rating goes with --format jsonl: {format_} is made of answers rated up.")
    settings = load({"tenant": tenant, "data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_).settings
    with reading(settings) as feedback:
        said = feedback.read(_wanted(rating or Rated.ALL, verified))
    if format_ is Format.EVAL and out is not None:
        done = feedback_export.write_dataset(out, said, collection or settings.collection)
    else:
        said = [each for each in said if collection in {None, each.collection}]
        if format_ is Format.PAIRS:
            found, done = feedback_export.pairs(said)
        else:
            found = feedback_export.everything(said)
            done = feedback_export.Exported(len(found), {})
        if out is None:
            typer.echo(feedback_export.lines(found), nl=False)
        else:
            feedback_export.write(out, feedback_export.lines(found))
    if json_ and out is not None:
        typer.echo(json.dumps({"out": str(out), "written": done.written, "left_out": done.left_out}, indent=2))
        return
    what = {"eval": "questions", "pairs": "pairs", "jsonl": "ratings"}[format_]
    aside = out is None  # stdout has the export: what is told of it goes to stderr
    typer.echo(one_line(f"{done.written} {what} written to {'stdout' if aside else out}"), err=aside)
    for reason, count in done.left_out.items():
        typer.echo(one_line(f"  {count} left out: {reason}"), err=aside)


def _wanted(rating: Rated, verified: bool) -> Wanted:
    from rag.feedback import Wanted

    return Wanted("up" if rating is Rated.UP else "down" if rating is Rated.DOWN else None, verified)
