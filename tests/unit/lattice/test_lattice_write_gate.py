"""Whatever changes something in a lattice asks the gate first, for the time that it will need."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable

import pytest

from wasmcloud_operator.lattice.control import ControlReader, ControlWriter
from wasmcloud_operator.lattice.errors import WadmUnavailable, WritesForbidden
from wasmcloud_operator.lattice.wadm import WadmReader, WadmWriter

WRITES = {
    "put": lambda wadm: wadm.put({"metadata": {"name": "shop"}}),
    "deploy": lambda wadm: wadm.deploy("shop"),
    "undeploy": lambda wadm: wadm.undeploy("shop"),
    "delete": lambda wadm: wadm.delete("shop"),
}
READS = {
    "get": lambda wadm: wadm.get("shop"),
    "list": lambda wadm: wadm.list(),
    "versions": lambda wadm: wadm.versions("shop"),
    "status": lambda wadm: wadm.status("shop"),
    "ping": lambda wadm: wadm.ping(),
}


class Gate:
    seconds = 10.0

    def remaining(self) -> float:
        return self.seconds


class Sent:
    """A connection on which wadm answers everything, and what was sent on it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.timeouts: list[float] = []
        self.answers: list[Callable[[], dict]] = []

    async def request(self, subject, body=b"", *, timeout, headers=None) -> bytes:
        self.timeouts.append(timeout)
        every = {"result": "success", "manifest": {}, "models": [], "versions": [], "status": {"status": {}}}
        return json.dumps(self.answers.pop(0)() if self.answers else every).encode()

    async def request_many(self, subject, body=b"", *, timeout) -> list[bytes]:
        self.timeouts.append(timeout)
        return []


def wadm_behind(gate: Gate) -> tuple[WadmWriter, Sent]:
    sent = Sent(gate)
    return WadmWriter(sent, "default", timeout=5.0, gate=gate), sent


def test_every_request_to_wadm_is_tried_here():
    public = {name for name, _ in inspect.getmembers(WadmWriter, inspect.isfunction) if not name.startswith("_")}
    assert public == WRITES.keys() | READS.keys()


def test_readers_of_wadm_and_hosts_have_no_method_that_writes():
    assert {name for name in WRITES | READS if not hasattr(WadmReader, name)} == WRITES.keys()
    assert not hasattr(ControlReader, "put_registries")


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("seconds", [0.4, 0.0, -10.0])
async def test_a_closed_gate_lets_no_write_to_wadm_out(call: str, seconds: float):
    gate = Gate()
    wadm, sent = wadm_behind(gate)
    gate.seconds = seconds
    with pytest.raises(WadmUnavailable, match="not the leader") as caught:
        await WRITES[call](wadm)
    assert not caught.value.may_have_run
    assert sent.timeouts == []


@pytest.mark.parametrize("call", READS)
async def test_reads_of_wadm_are_free(call: str):
    gate = Gate()
    wadm, sent = wadm_behind(gate)
    gate.seconds = -1.0
    await READS[call](wadm)
    assert sent.timeouts == [5.0]


async def test_a_write_to_wadm_has_no_more_time_than_the_gate_leaves():
    gate = Gate()
    wadm, sent = wadm_behind(gate)
    await wadm.deploy("shop")
    gate.seconds = 2.0
    await wadm.deploy("shop")
    assert sent.timeouts == [5.0, 2.0]


async def test_a_write_that_wadm_asks_for_again_asks_the_gate_again():
    gate = Gate()
    wadm, sent = wadm_behind(gate)

    def closing() -> dict:
        gate.seconds = 0.0  # the lease goes while wadm answers
        return {"result": "error", "message": "Internal storage error"}

    sent.answers = [closing]
    with pytest.raises(WadmUnavailable, match="not the leader"):
        await wadm.put({})
    assert len(sent.timeouts) == 1


async def test_a_closed_gate_lets_no_credentials_out_to_hosts():
    gate = Gate()
    sent = Sent(gate)
    control = ControlWriter(sent, "default", gate=gate)
    await control.put_registries({})
    gate.seconds = 0.0
    with pytest.raises(WritesForbidden):
        await control.put_registries({})
    assert len(sent.timeouts) == 1
