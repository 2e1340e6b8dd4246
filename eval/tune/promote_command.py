"""`librarian tune promote` and `librarian tune rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from librarian import DataDir, Json, QdrantUrl, Set, one_line

if TYPE_CHECKING:
    from eval.tune.promoting import Verdict
    from eval.tune.switching import Switched


def promote(
    name: Annotated[str, typer.Argument(help="The artefact's name, as `librarian tune list` shows it.")],
    on: Annotated[
        Path, typer.Option("--on", metavar="DATASET", help="Where it must be better beyond the noise (p < 0.05).")
    ],
    split: Annotated[str | None, typer.Option("--split", help="Which of its judgements; none: test.")] = None,
    guard: Annotated[
        list[Path] | None,
        typer.Option("--guard", metavar="DATASET", help="Where it may be no worse; may be given several times."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, max=1, help="Share by which a guard's mean may be lower.")
    ] = 0.01,
    metric: Annotated[str, typer.Option("--metric", help="What decides.")] = "nDCG@10",
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Evaluate a tuned model against what is in service, and put it into service if it is better.

    An encoder has every collection of the present one rebuilt beside it, and swapped. Exit code 12 where it is refused.

      librarian tune promote docs-1 --on mine --guard scifact

      librarian tune rollback
    """
    from eval.datasets import open_dataset
    from eval.errors import GateFailed
    from eval.metrics import canonical
    from eval.progress import shown_progress
    from eval.tune.promoting import Trial, check_decides, remember, tried
    from eval.tune.switching import check_alone, put_into_service
    from librarian import open_ingestor, reindex_for
    from rag.errors import BadInput
    from rag.settings import load
    from rag.tuning.registry import Registry

    loaded = load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_)
    registry = Registry.of(loaded.settings)
    artefact = registry.get(name)
    kind = artefact.card.kind
    if kind == "adapter":
        raise BadInput(
            f"'{name}' is an adapter, whose card holds its evaluation: serve it with "
            f"LIBRARIAN_ENGINE_ADAPTER={artefact.folder}. Encoders and rerankers are promoted."
        )
    now = registry.in_service().now(kind)
    if now is not None and now.name == name:
        raise BadInput(f"'{name}' is in service already, since {now.since}.")
    check_decides(kind, loaded.settings, loaded.sources)
    trial = Trial(open_dataset(on, split), [open_dataset(each) for each in guard or []], canonical(metric), tolerance)
    if kind == "encoder":
        check_alone(loaded.settings)
    with shown_progress(json_) as show:
        verdict = tried(artefact, loaded.settings, trial, open_ingestor, show)
        artefact = remember(artefact, verdict)
        done = put_into_service(artefact, loaded.settings, reindex_for, show) if verdict.passed else None
    _print(name, verdict, done, json_)
    if done is None:
        failed = "; ".join(each.text for each in verdict.conditions if not each.met)
        raise GateFailed(f"'{name}' is not promoted: {failed}.")


def rollback(
    kind: Annotated[str | None, typer.Argument(help="encoder or reranker; none: whichever was promoted last.")] = None,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Undo the last promotion: what was in service before it is so again."""
    from eval.progress import shown_progress
    from eval.tune.switching import take_out_of_service
    from librarian import reindex_for
    from rag.settings import load

    unpromoted = load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_, promoted=False).settings
    with shown_progress(json_) as show:
        done = take_out_of_service(kind, unpromoted, reindex_for, show)
    _print(None, None, done, json_)


def _print(name: str | None, verdict: Verdict | None, done: Switched | None, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    conditions = verdict.conditions if verdict else ()
    if as_json:
        facts = {"conditions": [asdict(each) for each in conditions], "switched": asdict(done) if done else None}
        print(json.dumps({"name": name, "promoted": bool(verdict and done), **facts}, indent=2, ensure_ascii=False))
        return
    for each in conditions:
        print(one_line(f"{'met' if each.met else 'NOT MET'}: {each.text}"))
    if done is None:
        return
    rebuilt = f"; rebuilt: {', '.join(done.collections)}" if done.collections else ""
    now, before = (each or "what the settings say" for each in (done.now, done.before))
    print(one_line(f"{done.kind} in service: {now}, before: {before}{rebuilt}"))
    print("A server that runs goes on with what it loaded: start it again.")
