"""Fixtures of the tests of Applications."""

from __future__ import annotations

import pytest

from reconciledapplication import Site


@pytest.fixture
def site() -> Site:
    return Site()
