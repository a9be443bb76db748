"""How much memory is left to what others say, in one lattice and in all together."""

from __future__ import annotations

import gc

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.lattice.ledger import Ledger
from wasmcloud_operator.lattice.room import ALL_BYTES, FREE_BYTES, PART_BYTES, Room
from wasmcloud_operator.lattice.wadm_events import StatusPushed
from wasmcloud_operator.lattice.wadm_types import AppStatus, ModelSummary

MIB = 1024 * 1024


class Part:
    """A lattice's hosts, or its statuses."""


def crowded(parts: int, size: int) -> tuple[Room, list[Part]]:
    """Room of which parts take so much each."""
    room, all_parts = Room(), [Part() for _ in range(parts)]
    for part in all_parts:
        room.take(part, size)
    return room, all_parts


def test_each_part_may_have_much_until_all_have_too_much():
    room, parts = crowded(4, PART_BYTES - MIB)
    assert room.limit(PART_BYTES) == PART_BYTES
    for part in parts:
        room.take(part, PART_BYTES)
    others = [Part() for _ in range(12)]
    for other in others:
        room.take(other, 10)
    assert room.limit(PART_BYTES) == ALL_BYTES // 16
    assert room.limit(FREE_BYTES) == PART_BYTES, "whoever has little does not notice"
    room.take(parts[0], 0)
    assert room.limit(PART_BYTES) == PART_BYTES


def test_a_part_that_is_gone_takes_nothing():
    room, parts = crowded(1000, FREE_BYTES)
    assert room.limit(PART_BYTES) == FREE_BYTES
    del parts[10:]
    gc.collect()
    assert room.limit(PART_BYTES) == PART_BYTES


SCALERS = [{"id": str(number), "name": "n" * 1000, "status": {"type": "deployed"}} for number in range(1000)]
LARGE = AppStatus.model_validate({"status": {"type": "deployed"}, "scalers": SCALERS})


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger("default", clock=VirtualClock())
    listed = [ModelSummary(name=f"app-{number}", version="1", deployed_version="1") for number in range(200)]
    made.take_list(listed, "connection")
    return made


def scalers_of(ledger: Ledger) -> list[int]:
    return [len(entry.status.scalers) for entry in ledger.entries.values() if entry.status is not None]


def test_the_statuses_of_a_lattice_take_a_bounded_amount_and_the_rest_are_words_alone(ledger: Ledger):
    for name in list(ledger.entries):
        ledger.take_event(StatusPushed(name, LARGE))
    with_scalers = sum(map(bool, scalers_of(ledger)))
    assert 20 < with_scalers <= PART_BYTES // (2200 * 1000)
    assert all(entry.status is not None and entry.status.info.type == "deployed" for entry in ledger.entries.values())


def test_a_status_takes_the_place_of_the_former_one(ledger: Ledger):
    for _ in range(200):
        ledger.take_event(StatusPushed("app-0", LARGE))
    assert max(scalers_of(ledger)) == 1000


def test_statuses_of_applications_that_are_gone_take_nothing(ledger: Ledger):
    for name in list(ledger.entries):
        ledger.take_event(StatusPushed(name, LARGE))
    ledger.take_list([ModelSummary(name="new", version="1", deployed_version="1")], "resync")
    ledger.take_event(StatusPushed("new", LARGE))
    assert scalers_of(ledger) == [1000]
