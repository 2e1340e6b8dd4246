"""A caller: whose data a request may touch, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass

from rag.caller_limits import UNSAID, CallerLimits
from rag.keys import Permission
from rag.schema import Scope

ANONYMOUS = "anonymous"
SETTINGS_KEY = "LIBRARIAN_API_KEY"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose data a request may touch, and what it may do there. `id` names the key or the token's subject, never what
    proves them."""

    id: str
    scope: Scope
    permissions: frozenset[Permission]
    limits: CallerLimits = UNSAID

    @property
    def anonymous(self) -> bool:
        """Whether the request carried nothing that names somebody."""
        return self.id == ANONYMOUS

    def may(self, permission: Permission) -> bool:
        """Whether it may; an admin may do everything."""
        return permission in self.permissions or "admin" in self.permissions
