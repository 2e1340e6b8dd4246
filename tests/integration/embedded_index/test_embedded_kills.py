"""Nothing of an embedded index is lost or half made when its process is killed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from rag.index import DenseLeg
from rag.index.embedded import EmbeddedIndex
from tests.integration.embedded_index.processes import OWNER, heard, kill, run


class TestKilled:
    def test_nothing_acknowledged_is_lost_to_kill_9(self, folder: Path) -> None:
        process = run(
            """
index = EmbeddedIndex(folder)
index.create("docs", CollectionSpec(3, {"encoder": "minilm"}))
index.set_alias("now", "docs")
for number in range(100000):
    index.upsert("now", [record(number * 10 + k) for k in range(10)], Scope.owner("acme"))
    say(f"wrote {number * 10 + 9}")
""",
            folder,
        )
        acknowledged = 0
        while acknowledged < 6000:  # past a flush, and with more behind it
            acknowledged = int(heard(process, "wrote"))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].splitlines()
        acknowledged = max([acknowledged, *(int(line.split()[1]) for line in said if line.startswith("wrote "))])

        again = EmbeddedIndex(folder)
        kept = {stored.payload["n"] for stored in again.scroll("now", OWNER, ["n"])}
        assert set(range(acknowledged + 1)) <= kept
        assert len(again.query("now", [DenseLeg((1.0, 5.0, 0.5), 10)], OWNER)[0]) == 10
        again.close()

    def test_a_process_killed_while_it_creates_and_drops_leaves_nothing_half_made(self, folder: Path) -> None:
        for delay in (0.0, 0.01, 0.03, 0.07, 0.1):
            process = run(
                """
index = EmbeddedIndex(folder)
say("started")
for number in range(1000):
    index.create(f"c{number % 3}", CollectionSpec(3))
    index.set_alias(f"a{number % 3}", f"c{number % 3}")
    if number > 1:
        index.drop(f"c{(number + 1) % 3}")
""",
                folder,
            )
            heard(process, "started")
            time.sleep(delay)
            kill(process)
            again = EmbeddedIndex(folder)
            whole = {known.name for known in again.collections()}  # each opens, or this raises
            assert whole == {path.name for path in (folder / "collections").iterdir()}
            assert set(json.loads((folder / "aliases.json").read_text()).values() if whole else ()) <= whole
            for name in whole:
                again.drop(name)
            again.close()

    def test_what_a_killed_create_or_drop_left_is_removed_at_the_next_open(self, folder: Path) -> None:
        EmbeddedIndex(folder).close()
        for leftover in (".new-1", ".dropped-1"):
            (folder / "collections" / leftover / "shard").mkdir(parents=True)
        (folder / "aliases.json").write_text('{"now": "gone"}')
        again = EmbeddedIndex(folder)
        assert list((folder / "collections").iterdir()) == []
        assert json.loads((folder / "aliases.json").read_text()) == {}
        again.close()
