"""`librarian eval …`."""

from __future__ import annotations

import typer

HELP = """Measure what is found and what is answered, compare configurations, and gate on the numbers.

  librarian eval retrieval DATASET --config now.toml --config new.toml

  librarian eval answers DATASET --out report

  librarian eval make DOCUMENTS --out mine

  librarian eval calibrate mine --collection documents

  librarian eval gate result.json --baseline live.json --min ndcg@10=0.70 --no-worse-than 0.01
"""


def app() -> typer.Typer:
    """The sub-command with its own sub-commands."""
    from eval.answers.command import answers
    from eval.calibration.command import calibrate
    from eval.gate_command import gate
    from eval.make.command import make
    from eval.retrieval_command import retrieval

    made = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    for command in (retrieval, answers, make, calibrate, gate):
        made.command()(command)
    return made
