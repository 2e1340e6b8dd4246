"""A cluster's API differs from the embedded set-up in the settings that a table of docs/deploying.md names."""

from __future__ import annotations

import re

from rag.settings import PREFIX, Settings
from tests.cluster.kit import OVERLAYS, ROOT, by_reference, overlay, workloads

HEADING = "## What differs from a laptop"
# What an overlay does not write down stands in a Secret, which everybody makes for themselves.
SECRET = "from the Secret"


def differences(name: str) -> dict[str, str]:
    """Settings of the API of an overlay that are not the default, as the table shows them."""
    manifests = overlay(name)
    (api,) = (each for each in workloads(manifests) if each.name == "api")
    found = {}
    for variable, value in by_reference(api, manifests).items():
        if not variable.startswith(PREFIX):
            continue
        setting = variable.removeprefix(PREFIX).lower()
        default = Settings.model_fields[setting].default
        if value is None:
            found[variable] = SECRET
        elif value != str(default):
            found[variable] = f"`{value}`"
    return found


def table() -> dict[str, dict[str, str]]:
    """By overlay, what the page's table says."""
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    part = page.partition(HEADING)[2].partition("\n#")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    names = rows[0][2:-1]
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for setting, laptop, *cells, _ in rows[2:]:
        variable = setting.strip("`")
        default = Settings.model_fields[variable.removeprefix(PREFIX).lower()].default
        assert laptop == (f"`{default}`" if default not in (None, "") else "not set"), variable
        for name, cell in zip(names, cells, strict=True):
            if cell != "the same":
                found[name][variable] = cell
    return found


def test_the_table_names_each_difference_and_no_other() -> None:
    said = table()
    assert list(said) == list(OVERLAYS)
    for name in OVERLAYS:
        assert said[name] == differences(name), name


def test_jobs_read_and_write_what_the_api_reads() -> None:
    """Collection, index and model are the same for every workload of an overlay."""
    for name in OVERLAYS:
        manifests = overlay(name)
        shared = {}
        for each in workloads(manifests):
            if not re.fullmatch(r"api|ingest|check|evaluate|tune-.*|backup|restore", each.name):
                continue
            values = by_reference(each, manifests)
            shared[each.name] = {key: values.get(PREFIX + key) for key in ("COLLECTION", "QDRANT_URL", "LLM_URL")}
        assert len({tuple(each.values()) for each in shared.values()}) == 1, (name, shared)
