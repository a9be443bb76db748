"""Random lives of Applications, pools and routes, with outages and restarts, against the plain model.

`MODEL_SEQUENCES` is how many, `MODEL_SEED` the first one's seed; the same seed plays the same sequence.
"""

from __future__ import annotations

import logging
import os

import pytest
import structlog

from model.sequences import run

_SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "100"))
_FIRST = int(os.environ.get("MODEL_SEED", "0"))
_A_TEST = 20


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Outages by the thousand: their logs would take longer than the sequences."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.mark.parametrize("first", range(_FIRST, _FIRST + _SEQUENCES, _A_TEST))
def test_after_every_sequence_runs_and_is_exposed_what_is_wanted(first: int) -> None:
    played = [run(seed) for seed in range(first, min(first + _A_TEST, _FIRST + _SEQUENCES))]
    assert [str(sequence) for sequence in played if sequence.faults] == []
