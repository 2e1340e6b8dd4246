"""`librarian tune …`."""

from __future__ import annotations

import typer

HELP = """Make the encoder, the reranker and the chat model better at your documents, and prove it before it is used.

Training needs the extra `tune`: pip install 'librarian-rag[tune]', or `make tune` in a checkout.
"""


def app() -> typer.Typer:
    """The sub-command with its own sub-commands."""
    from eval.tune.adapter_command import adapter
    from eval.tune.encoder_command import encoder
    from eval.tune.listing_command import list_, show
    from eval.tune.pairs_command import pairs
    from eval.tune.promote_command import promote, rollback
    from eval.tune.reranker_command import reranker

    made = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    made.command()(adapter)
    made.command()(pairs)
    made.command()(encoder)
    made.command()(reranker)
    made.command("list")(list_)
    made.command()(show)
    made.command()(promote)
    made.command()(rollback)
    return made
