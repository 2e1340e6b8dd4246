"""The libraries that train, which are an extra of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from rag.tuning.errors import ExtraMissing

ENCODERS = ("accelerate", "datasets", "peft")
ADAPTERS = ("accelerate", "datasets", "peft", "trl")


def require(packages: Sequence[str]) -> None:
    """Raise ExtraMissing where one of the packages is not installed. Imports none of them."""
    missing = [each for each in packages if importlib.util.find_spec(each) is None]
    if missing:
        raise ExtraMissing(
            f"training needs {', '.join(missing)}, which are not installed: pip install 'librarian-rag[tune]', or "
            "`make tune` in a checkout."
        )
