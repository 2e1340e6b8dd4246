"""What stands on the right of a comparison: texts, numbers and dates, and when a text counts as one of the latter."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from rag.errors import BadInput
from rag.filters.fields import Field

MAX_VALUE = 4096  # characters: as long as a value of metadata may be

Value = str | int
Bound = float | str  # a number, or a date as text

_LONGEST = 40  # characters of a text that may be a number or a date
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def number(text: str) -> float | None:
    """The number that a text is written as; None: it is none."""
    text = text.strip() if len(text) <= _LONGEST else ""
    found = float(text) if _NUMBER.fullmatch(text) else math.nan
    return found if math.isfinite(found) else None


def milliseconds(text: str) -> int | None:
    """Milliseconds from 1970 (UTC) to the instant that a text is written as, rounded down; None: it is no date."""
    text = text.strip() if len(text) <= _LONGEST else ""
    if not _DATE.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return None
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def value(given: object, field: Field) -> Value:
    """What `equals` and `in` compare with, as the field holds it. Raises BadInput for what it cannot hold."""
    if field.kind == "number":
        if isinstance(given, int) and not isinstance(given, bool):
            whole: float | None = given
        else:
            whole = number(given) if isinstance(given, str) else None
        if whole is None or whole != int(whole) or abs(whole) >= 2**53:
            raise BadInput(f"the filter compares '{field.name}' with {shown(given)}: it is a whole number.")
        return int(whole)
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int):
        return text_of(str(given) if abs(given) < 10**_LONGEST else None, given, field)
    if isinstance(given, float):
        raise BadInput(
            f"the filter compares '{field.name}' with {given!r}: texts are compared letter by letter, so write it as "
            "the document does, in quotes, or use gte and lte."
        )
    return text_of(given, given, field)


def text_of(text: object, given: object, field: Field) -> str:
    """The text, unchanged. Raises BadInput where it is none, is too long, or cannot be written as UTF-8."""
    if not isinstance(text, str):
        raise BadInput(f"the filter compares '{field.name}' with {shown(given)}: a text is needed.")
    if len(text) > MAX_VALUE:
        raise BadInput(f"a value of the filter has {len(text)} characters; {MAX_VALUE} is the limit.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(f"the filter compares '{field.name}' with {shown(given)}: that is no Unicode text.") from None
    return text


def bound(given: object, field: Field) -> Bound:
    """A bound of a range: a number, or a date's text. Raises BadInput for what is neither."""
    if field.kind == "text":
        raise BadInput(f"'{field.name}' has no order to compare by: use eq or in; page and metadata have ranges.")
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        try:
            found = float(given)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    elif isinstance(given, str):
        as_number = number(given)
        if as_number is not None:
            return as_number
        if field.kind == "metadata" and milliseconds(given) is not None:
            return given.strip()
    kinds = "a number" if field.kind == "number" else "a number or a date such as 2026-01-31 or 2026-01-31T09:30Z"
    raise BadInput(f"the filter bounds '{field.name}' by {shown(given)}: a range needs {kinds}.")


def shown(given: object) -> str:
    """A value for messages: short, on one line."""
    text = ascii(given)
    return text if len(text) <= 80 else f"{text[:77]}..."
