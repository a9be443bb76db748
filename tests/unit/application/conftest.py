"""Fixtures of the tests of Applications."""

from __future__ import annotations

import pytest

from support.sites.reconciled_application import Site


@pytest.fixture
def site() -> Site:
    return Site()
