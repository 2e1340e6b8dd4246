"""These tests need kubectl and the checkers of .venv-cluster: `make test-cluster` installs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.kit import BIN

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(600))
            if not (BIN / "kubectl").exists():
                item.add_marker(pytest.mark.skip(reason="kubectl is not installed: make test-cluster"))
