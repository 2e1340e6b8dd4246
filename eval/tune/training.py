"""A training from its command to its artefact: what the trainings of all kinds have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.progress import Show
from eval.tune.measuring import before_and_after
from rag.encoders.folder import find_folder, hash_folder
from rag.tuning.artefacts import Artefact
from rag.tuning.card import Base, Card, Data, Kind, versions
from rag.tuning.options import Step, Tell, Training
from rag.tuning.pairs import PairSet
from rag.tuning.registry import Registry
from rag.tuning.trained import Trained


def telling(show: Show) -> Tell:
    """A training's progress as that of any evaluation."""

    def tell(now: Step) -> None:
        loss = "" if now.loss is None else f" · loss {float(now.loss):.3f}"
        held_out = "" if now.held_out is None else f" · held-out nDCG@10 {float(now.held_out):.3f}"
        show("Training", now.step, now.steps, f"steps{loss}{held_out}")

    return tell


def teacher_folder(registry: Registry, name: str) -> Path:
    """The folder of a reranker: an artefact's, one that is named, or a hub's. Raises what finding one raises."""
    if (registry.folder / name).is_dir():
        return registry.get(name, "reranker").folder
    return find_folder(name, "--teacher")


def keep(
    registry: Registry,
    name: str,
    kind: Kind,
    base: tuple[str, Path],
    pairs: PairSet,
    options: Training,
    done: Trained,
    licence: str,
) -> Artefact:
    """Make an artefact of a finished training: its card is written here. `base` is its name and its folder."""
    data = pairs.card
    card = Card(
        name=name,
        kind=kind,
        base=Base(base[0], hash_folder(base[1])),
        data=Data(
            name=data.name,
            sha256=data.sha256,
            pairs=data.pairs,
            held_out=data.held_out,
            split=f"{data.split}, {data.share_held_out:g} of the questions held out",
            seed=data.seed,
            licence=data.licence,
        ),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seed=options.seed,
        settings=asdict(options),
        metrics=(before_and_after(f"{data.name}, held out", "nDCG@10", done.before, done.after),),
        versions=versions(),
        licence=licence,
        facts={
            "steps": done.steps,
            "seconds": round(done.seconds, 1),
            "device": done.device,
            "went_on_from_a_killed_training": done.resumed,
            "first_loss": done.losses[0][1] if done.losses else None,
            "last_loss": done.losses[-1][1] if done.losses else None,
            "pairs_by_source": dict(data.by_source),
            "negatives_mined_with": _named(data.mined_with),
        },
    )
    return registry.add(done.folder, card)


def _named(mined_with: Mapping[str, Any]) -> str:
    dense = mined_with.get("dense")
    return str(dense.get("name")) if isinstance(dense, dict) else "unknown"
