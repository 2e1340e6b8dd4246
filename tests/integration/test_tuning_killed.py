"""A training killed with SIGKILL and started again has the losses, and makes the model, of an undisturbed one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapter_kit import question_folder
from tests.integration.serving import ROOT, environment
from tests.tuning_kit import toy_pairs

pytest.importorskip("trl")
pytestmark = pytest.mark.timeout(300)

TRAINED = ("--epochs", "2", "--batch", "8", "--evaluations", "1", "--patience", "50", "--negatives", "1")
TOLD = ("loss", "grad_norm", "learning_rate", "eval_held_out_ndcg@10")


@dataclass
class Trainings:
    """Runs commands in processes of their own; `folder` holds the models to begin from."""

    process: subprocess.Popen[str]
    folder: Path

    def order(self, **order: Any) -> int:
        """The exit code of one order; below 0, the signal that ended it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def train(self, data: Path, arguments: Sequence[str], dies_in_checkpoint: int = 0) -> int:
        """`librarian tune …` with the data folder `data`; killed while its n-th checkpoint is half written."""
        return self.order(
            arguments=["tune", *arguments, "--name", "made", "--data-dir", str(data)],
            log=f"{data}.log",
            curve=f"{data}.curve",
            dies_in_checkpoint=dies_in_checkpoint,
        )


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    folder = tmp_path_factory.mktemp("trainings")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.training_process"],
        cwd=ROOT,
        env=environment(folder, OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    made = Trainings(process, folder)
    with process:
        assert made.order(make=str(folder)) == 0
        yield made
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture(params=["encoder", "reranker", "adapter"])
def arguments(request: pytest.FixtureRequest, trainings: Trainings, tmp_path: Path) -> list[str]:
    """The command that trains each kind on a tiny model, with a checkpoint halfway and one at its end."""
    if request.param == "adapter":
        asked = question_folder(tmp_path / "questions")
        model = f"engine_model={trainings.folder / 'chat'}"
        shape = ("--hold-out", "0", "--rounds", "3", "--batch", "1", "--max-tokens", "4096", "--rank", "4")
        return ["adapter", str(asked), *shape, "--set", model]
    pairs = toy_pairs(tmp_path / "pairs").folder
    base = trainings.folder / "encoder" / "model"
    return [request.param, str(pairs), *TRAINED, "--learning-rate", "5e-3", "--max-tokens", "16", "--base", str(base)]


def curve(data: Path) -> list[dict[str, float]]:
    """What the trainer logged, by all processes that worked on the data folder: each step's loss and scores."""
    lines = [json.loads(line) for line in Path(f"{data}.curve").read_text().splitlines()]
    return [{"step": each["step"], **{name: each[name] for name in TOLD if name in each}} for each in lines]


def weights(data: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    (found,) = (data / "tuned" / "made").glob("*.safetensors")
    return load_file(found)


def checkpoints(data: Path) -> list[int]:
    """The steps of the checkpoints that lie there, whole or not."""
    return sorted(int(each.name.removeprefix("checkpoint-")) for each in (data / "tuned").rglob("checkpoint-*"))


def test_killed_within_a_checkpoint_it_ends_as_if_it_had_not_been(
    trainings: Trainings, arguments: list[str], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert trainings.train(whole, arguments) == 0, Path(f"{whole}.log").read_text()
    every = {(each["step"], *sorted(each)): each for each in curve(whole)}

    assert trainings.train(killed, arguments, dies_in_checkpoint=2) == -signal.SIGKILL
    first, _ = checkpoints(killed)
    until_then = len(curve(killed))
    assert trainings.train(killed, arguments) == 0, Path(f"{killed}.log").read_text()

    told = curve(killed)
    assert told[until_then]["step"] > first
    assert {(each["step"], *sorted(each)) for each in told} == set(every)
    for each in told:
        assert each == pytest.approx(every[(each["step"], *sorted(each))], rel=1e-5)
    wanted, found = weights(whole), weights(killed)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
