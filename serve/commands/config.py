"""`librarian config`."""

from __future__ import annotations

from typing import Any

from librarian import Json, Set


def config(set_: Set = None, json_: Json = False) -> None:
    """Show every setting: its value, where that came from, and what it means."""
    import json

    from pydantic import SecretStr

    from rag.settings import PREFIX, Settings, load
    from rag.urls import without_password

    loaded = load(pairs=set_)
    rows: list[dict[str, Any]] = []
    for name, field in Settings.model_fields.items():
        value = getattr(loaded.settings, name)
        if isinstance(value, SecretStr):
            value = "(set, hidden)"
        elif isinstance(value, str):
            value = without_password(value)
        rows.append(
            {
                "name": name,
                "value": list(value) if isinstance(value, tuple) else value,
                "source": loaded.sources.get(name, "default"),
                "environment": PREFIX + name.upper(),
                "meaning": field.description,
            }
        )
    if json_:
        print(json.dumps(rows, indent=2, default=str))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        value = "" if row["value"] in (None, []) else str(row["value"])
        print(f"{row['name']:{width}}  {value:24}  {row['source']:12}  {row['meaning']}")
