"""`librarian eval gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from librarian import Json, one_line


def gate(
    run: Annotated[Path, typer.Argument(metavar="RUN.json", help="Result of an evaluation (result.json, or --json).")],
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="RUN.json", help="Result to be compared with.")
    ] = None,
    min_: Annotated[
        list[str] | None, typer.Option("--min", metavar="METRIC=VALUE", help="The least that a metric may be.")
    ] = None,
    no_worse_than: Annotated[
        float | None,
        typer.Option("--no-worse-than", min=0, max=1, help="How far below the baseline a metric may be (none: 0)."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Metric to compare with the baseline; none: the run's first."),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="NAME", help="Which run, where the file holds several.")
    ] = None,
    baseline_config: Annotated[
        str | None, typer.Option("--baseline-config", metavar="NAME", help="The same for the baseline.")
    ] = None,
    json_: Json = False,
) -> None:
    """Check an evaluation's numbers: exit code 0 where all conditions are met, 12 where one is not.

    librarian eval gate result.json --min ndcg@10=0.70

    librarian eval gate result.json --baseline live.json --no-worse-than 0.01
    """
    import json
    from dataclasses import asdict

    from eval.errors import GateFailed
    from eval.gate import check, minima, pick
    from eval.result import read

    found = pick(read(run), config, str(run))
    before = pick(read(baseline), baseline_config, str(baseline)) if baseline else None
    conditions = check(found, before, minima(min_ or []), no_worse_than, metric or [])
    if json_:
        passed = all(each.met for each in conditions)
        print(json.dumps({"passed": passed, "conditions": [asdict(each) for each in conditions]}, indent=2))
    else:
        for each in conditions:
            print(one_line(f"{'met' if each.met else 'NOT MET'}: {each.text}"))
    failed = [each for each in conditions if not each.met]
    if failed:
        raise GateFailed(f"{run} does not pass: {'; '.join(each.text for each in failed)}.")
