"""The locks agree: what a job or an image installs are the versions that were tested."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "requirements"
LOCKS = ("service", "dev", "tune", "api", "jobs")
APART = {"python-dateutil"}  # a storage client of the jobs' takes no newer one
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


def test_every_lock_has_the_version_of_a_package_that_the_tests_run_with() -> None:
    pins = {lock: dict(_PIN.findall((FOLDER / f"{lock}.txt").read_text(encoding="utf-8"))) for lock in LOCKS}
    assert all(len(found) > 50 for found in pins.values())
    tested = pins["dev"]
    other = {
        f"{lock}: {name} {version}, tested with {tested[name]}"
        for lock, found in pins.items()
        for name, version in found.items()
        if name not in APART and name in tested and tested[name] != version
    }
    assert not other


def test_every_pin_has_a_hash() -> None:
    for lock in LOCKS:
        text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8")
        entries = re.split(r"\n(?=[A-Za-z0-9])", text)[1:]
        assert entries
        assert all("--hash=sha256:" in each for each in entries), lock
