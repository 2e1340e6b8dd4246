"""`librarian tune …` in processes that can be killed, each a fork of one that has imported what trains.

Importing that takes several times as long as a tiny training. Orders come as lines of JSON, exit codes go back:

    {"arguments": ["tune", "encoder", …], "log": FILE, "curve": FILE, "dies_in_checkpoint": 2}
    {"make": FOLDER}                 # the tiny models to begin from

The process is killed with SIGKILL while its n-th checkpoint is half written, weights and optimizer without the rest; 0:
not at all. `curve` gets a line of JSON for everything that the trainer logs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Order = Mapping[str, Any]


def main() -> int:
    """Serve orders until there are no more."""
    import datasets  # noqa: F401
    import peft  # noqa: F401
    from sentence_transformers import CrossEncoderTrainer, SentenceTransformerTrainer  # noqa: F401
    from transformers import Trainer
    from trl import SFTTrainer  # noqa: F401  # importing it is the point

    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_obey(order, Trainer))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return 0


def _obey(order: Order, trainer: Any) -> int:
    log = os.open(order.get("log", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "make" in order:
        from tests.adapter_kit import model_folder
        from tests.tuning_kit import tiny_encoder

        tiny_encoder(Path(order["make"]) / "encoder")
        model_folder(Path(order["make"]) / "chat")
        return 0
    _record(trainer, Path(order["curve"]))
    _die(trainer, order["dies_in_checkpoint"])
    sys.argv = ["librarian", *order["arguments"]]
    import librarian

    try:
        librarian.main()
    except SystemExit as end:
        sys.stdout.flush()
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _record(trainer: Any, path: Path) -> None:
    logged = trainer.log

    def log(self: Any, logs: dict[str, float], *given: Any, **named: Any) -> None:
        with path.open("a") as file:
            file.write(json.dumps({"step": self.state.global_step, **logs}) + "\n")
        logged(self, logs, *given, **named)

    trainer.log = log


def _die(trainer: Any, number: int) -> None:
    save, calls = trainer._save_rng_state, 0

    def cut(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        save(*given)

    trainer._save_rng_state = cut


if __name__ == "__main__":
    sys.exit(main())
