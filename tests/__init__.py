"""The tests. What they share is asserted in with as many words as in the tests themselves."""

import pytest

pytest.register_assert_rewrite("tests.integration")
