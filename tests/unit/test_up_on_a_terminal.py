"""`librarian up` streams an answer to the terminal: the log does not write into it."""

from __future__ import annotations

from rag.settings import Loaded, Settings
from serve.together import for_a_terminal


def test_only_warnings_are_logged_where_no_level_was_asked_for() -> None:
    assert for_a_terminal(Loaded(Settings(), {})).log_level == "warning"


def test_a_level_that_was_asked_for_stays() -> None:
    asked = Loaded(Settings(log_level="info"), {"log_level": "environment"})
    assert for_a_terminal(asked).log_level == "info"
