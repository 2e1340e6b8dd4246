"""The `librarian` command: mounts the sub-commands and turns errors into one line and an exit code.

Nothing heavy is imported before a command needs it, so `librarian --help` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from rag.encoders import DenseEncoder, SparseEncoder
    from rag.feeding import Ingestor
    from rag.index import Index
    from rag.settings import Settings

# Flags that several commands share; each is a setting, so it may also stand in the environment or librarian.toml.
Collection = Annotated[str | None, typer.Option("--collection", "-c", help="Collection (or alias) to work on.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Tenant whose documents are meant.")]
Groups = Annotated[str | None, typer.Option("--groups", help="Groups of the reader, comma-separated.")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Folder of the embedded index and models.")]
QdrantUrl = Annotated[str | None, typer.Option("--qdrant-url", help="Qdrant server instead of the embedded engine.")]
LlmUrl = Annotated[str | None, typer.Option("--llm-url", help="OpenAI-compatible URL of the chat model.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="Any setting (see `librarian config`).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Where = Annotated[
    str | None,
    typer.Option("--filter", metavar="FILTER", help="Only what matches, as 'team=infra and not year<2024'."),
]

HELP = """Answers from your documents, with citations.

Start with:  librarian ingest FOLDER  →  librarian up  →  librarian ask "…"

Settings come from flags, LIBRARIAN_* variables, .env and librarian.toml, in that order of strength.

Exit codes: 0 done · 1 failed · 2 bad input or setting · 3 some documents failed · 4 no such collection · 5 built with
another encoder · 6 index in use · 7 Qdrant unreachable · 8 model unreachable · 9 no encoder · 10 engine failed · 11 the
index differs from the source (ingest --check) · 12 an evaluation does not pass (eval gate, tune promote).
"""


def build() -> typer.Typer:
    """The command with all its sub-commands."""
    from eval import command as eval_command
    from eval.tune import command as tune_command
    from ingest import collections_command
    from ingest.command import ingest
    from ingest.reindex_command import reindex
    from serve import commands

    app = typer.Typer(
        name="librarian",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for command in (
        ingest,
        reindex,
        commands.ask,
        commands.search,
        commands.up,
        commands.serve,
        commands.mcp,
        commands.model,
        commands.doctor,
        commands.config,
        commands.size,
    ):
        app.command()(command)
    app.add_typer(collections_command.app(), name="collections")
    app.add_typer(commands.keys_app(), name="keys")
    app.add_typer(commands.feedback_app(), name="feedback")
    app.add_typer(eval_command.app(), name="eval")
    app.add_typer(tune_command.app(), name="tune")
    return app


def open_ingestor(settings: Settings, index: Index, dense: DenseEncoder, sparse: SparseEncoder) -> Ingestor:
    """The ingestion engine for a service, which does not import it: here is where the packages meet."""
    from ingest.service import Service

    return Service(settings, index, dense, sparse)


def reindex_for(
    settings: Settings, index: Index, keep_old: bool, show: Callable[[str, int, int | None, str], None]
) -> None:
    """Bring the settings' collection to their encoder, for a promotion; `show` is told of documents and chunks."""
    from ingest.reindex import Reindex
    from ingest.report import Progress
    from rag.encoders import dense_encoder, sparse_encoder

    def tell(now: Progress) -> None:
        show(f"Rebuilding {settings.collection}", now.done, now.documents, f"documents · {now.chunks} chunks")

    Reindex(index, dense_encoder(settings), sparse_encoder(settings), settings, on_progress=tell).run(keep_old)


def engine_for(
    settings: Settings, folder: Path, say: Callable[[str], None]
) -> AbstractContextManager[tuple[Settings, Settings]]:
    """Settings of what is in service and of the adapter in `folder`, both served for as long as the block runs."""
    from serve.engine.trial import tried_beside

    return tried_beside(settings, folder, say)


def main() -> None:
    """Run the command line. A known error is one line on stderr; Ctrl-C is exit code 130."""
    try:
        try:
            build()(standalone_mode=True)
        finally:
            sys.stdout.flush()  # here, where a reader that is gone or a full disk can still be handled
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails once more
        if not isinstance(error, BrokenPipeError):  # `librarian search … | head` is no mistake
            print(f"librarian: {one_line(str(error))}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        from rag.errors import LibrarianError

        if not isinstance(error, LibrarianError):
            raise
        print(f"librarian: {one_line(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)


def one_line(text: str) -> str:
    """Text for a terminal: names of files and messages of servers in it cannot add lines or control codes."""
    return "".join(each if each.isprintable() else " " for each in text)


if __name__ == "__main__":
    main()
