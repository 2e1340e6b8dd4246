"""What `model` of a request chooses: `librarian`, with a collection and a profile where it names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.errors import BadInput
from serve.shapes import NAME

MODEL = "librarian"

_NAMED = re.compile(rf"{MODEL}(?:/(?P<collection>{NAME.pattern}))?(?::(?P<profile>\S+))?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Collection and profile; None is the service's own."""

    collection: str | None
    profile: str | None


class UnknownModel(BadInput):
    """The request names a model that is not served."""

    code = "model_not_found"
    http_status = 404
    param = "model"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"there is no model '{model[:100]}'; use '{MODEL}', '{MODEL}/COLLECTION' or '{MODEL}:PROFILE' "
            "(GET /v1/models)."
        )


def chosen(model: str) -> Chosen:
    """What `librarian`, `librarian/COLLECTION`, `librarian:PROFILE` or both choose; whether they exist is not asked.

    Raises UnknownModel for any other name.
    """
    found = _NAMED.fullmatch(model)
    if not found:
        raise UnknownModel(model)
    return Chosen(found["collection"], found["profile"])


def of_profile(profile: str) -> str:
    """The name that chooses a profile, over the default collection."""
    return f"{MODEL}:{profile}"
