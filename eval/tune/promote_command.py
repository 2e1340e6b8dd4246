"""`librarian tune promote` and `librarian tune rollback`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from librarian import DataDir, Json, QdrantUrl, Set, one_line

if TYPE_CHECKING:
    from eval.progress import Show
    from eval.tune.promoting import Verdict
    from eval.tune.switching import Switched
    from rag.settings import Settings
    from rag.tuning.artefacts import Artefact


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
    metric: Annotated[
        str | None, typer.Option("--metric", help="What decides; none: nDCG@10, of an adapter F1.")
    ] = None,
    remove_gold: Annotated[
        float, typer.Option("--remove-gold", min=0, max=1, help="Adapter: share of questions with their answer hidden.")
    ] = 0.3,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Adapter: only so many questions, the first of each kind.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="Adapter: so many questions are asked at once.")
    ] = 1,
    data_dir: DataDir = None,
    qdrant_url: QdrantUrl = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Evaluate a tuned model against what is in service, and put it into service if it is better.

    An encoder has every collection of the present one rebuilt beside it, and swapped. An adapter is loaded beside what
    is in service, and the whole service answers with both. Exit code 12 where it is refused.

      librarian tune promote docs-1 --on mine --guard scifact

      librarian tune rollback
    """
    from eval.errors import GateFailed
    from eval.progress import shown_progress
    from eval.tune.promoting import check_decides, remember
    from eval.tune.switching import check_alone, put_into_service
    from librarian import reindex_for
    from rag.errors import BadInput
    from rag.settings import load
    from rag.tuning.registry import Registry

    loaded = load({"data_dir": data_dir, "qdrant_url": qdrant_url}, pairs=set_)
    settings, registry = loaded.settings, Registry.of(loaded.settings)
    artefact = registry.get(name)
    kind = artefact.card.kind
    now = registry.in_service().now(kind)
    if now is not None and now.name == name:
        raise BadInput(f"'{name}' is in service already, since {now.since}.")
    check_decides(kind, settings, loaded.sources)
    sets = _Sets(on, guard or [], split, metric, tolerance, remove_gold, limit, concurrency)
    if kind == "encoder":
        check_alone(settings)
    with shown_progress(json_) as show:
        verdict = (_tried_adapter if kind == "adapter" else _tried)(artefact, settings, sets, show)
        artefact = remember(artefact, verdict)
        done = put_into_service(artefact, settings, reindex_for, show) if verdict.passed else None
    _print(name, verdict, done, json_)
    if done is None:
        failed = "; ".join(each.text for each in verdict.conditions if not each.met)
        raise GateFailed(f"'{name}' is not promoted: {failed}.")


@dataclass(frozen=True, slots=True)
class _Sets:
    """What a candidate is tried on, as it was typed."""

    on: Path
    guards: list[Path]
    split: str | None
    metric: str | None
    tolerance: float
    remove_gold: float
    limit: int | None
    concurrency: int


def _tried(artefact: Artefact, settings: Settings, sets: _Sets, show: Show) -> Verdict:
    from eval.datasets import open_dataset
    from eval.metrics import canonical
    from eval.tune.promoting import Trial, tried
    from librarian import open_ingestor

    target, *guards = [open_dataset(sets.on, sets.split), *(open_dataset(each) for each in sets.guards)]
    trial = Trial(target, guards, canonical(sets.metric or "nDCG@10"), sets.tolerance)
    return tried(artefact, settings, trial, open_ingestor, show)


def _tried_adapter(artefact: Artefact, settings: Settings, sets: _Sets, show: Show) -> Verdict:
    from eval.answers.questions import open_questions
    from eval.tune.adapter_promoting import METRIC, AnswerTrial, tried
    from librarian import engine_for, open_ingestor

    found = [open_questions(sets.on, sets.split, sets.remove_gold, 0)]
    found += [open_questions(each, None, sets.remove_gold, 0) for each in sets.guards]
    target, *guards = [each.first(sets.limit) if sets.limit else each for each in found]
    folder = settings.data_dir / "eval" / f"promote-{artefact.card.name}"
    trial = AnswerTrial(target, guards, sets.metric or METRIC, sets.tolerance, folder, sets.concurrency)
    return tried(artefact, settings, trial, engine_for, open_ingestor, show)


def rollback(
    kind: Annotated[
        str | None, typer.Argument(help="encoder, reranker or adapter; none: what was promoted last.")
    ] = None,
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
