"""Whom the API answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from rag.setting_rooms.forms import Origins, PrintableKey


class Access(BaseModel):
    """Whom the API answers."""

    api_key: PrintableKey | None = Field(
        None, description="Bearer key that requests must carry, or one made; empty: none"
    )
    known_callers_only: bool = Field(
        False, description="answer only requests with a key (LIBRARIAN_API_KEY or `librarian keys`), on loopback too"
    )
    allow_anonymous: bool = Field(False, description="serve without a key on an address that others can reach")
    cors_origins: Origins = Field(
        (), description="origins (https://app.example.org) whose pages may call the API with a key; empty: none"
    )
