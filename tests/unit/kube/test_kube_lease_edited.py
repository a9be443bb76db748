"""A Lease that is edited by hand, or read slowly: the gate of its holder closes before another leads."""

from __future__ import annotations

import asyncio
import json

import pytest

from support.kube.replicas import LOCK, Pair, edited
from wasmcloud_operator.kube.resources import LEASE


@pytest.mark.parametrize(
    "edit",
    [
        {"leaseDurationSeconds": 1},
        {"leaseDurationSeconds": 9},
        {"leaseDurationSeconds": None},
        {"holderIdentity": ""},
        {"holderIdentity": None},
        {"holderIdentity": "", "leaseDurationSeconds": 9},
        {"holderIdentity": "", "renewTime": None},
    ],
    ids=str,
)
async def test_an_edit_lets_nobody_lead_while_a_holder_that_is_cut_off_may_write(pair: Pair, edit: dict):
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    leader.transport.partitioned = True
    edited(pair.api, **edit)
    await pair.clock.until(lambda: standby.elector.remaining() > 0, within=60)
    assert leader.elector.remaining() <= 0


@pytest.mark.parametrize("edit", [{"leaseDurationSeconds": 1}, {"holderIdentity": ""}], ids=str)
async def test_a_holder_writes_over_what_was_edited(pair: Pair, edit: dict):
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    written = pair.api.get(LEASE, LOCK)["spec"]
    edited(pair.api, **edit)
    await pair.clock.advance(60)
    assert (leader.leading, leader.lost, standby.leading) == (True, 0, False)
    for name in ("holderIdentity", "leaseDurationSeconds", "acquireTime"):
        assert pair.api.get(LEASE, LOCK)["spec"][name] == written[name]


async def test_metadata_that_others_put_on_the_lease_stays(pair: Pair):
    await pair.elected()
    held = pair.api.get(LEASE, LOCK)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"}
    others = {
        "labels": {"app": "operator"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "finalizers": ["example.com/keep"],
        "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
    }
    pair.api.put(LEASE, {**held, "metadata": {**held["metadata"], **others}})
    await pair.clock.advance(10)
    renewed = json.loads(json.dumps(pair.api.get(LEASE, LOCK)))  # tuples are lists
    assert renewed["spec"]["renewTime"] > held["spec"]["renewTime"]
    assert {name: renewed["metadata"][name] for name in others} == others


async def test_a_lease_that_is_read_slowly_counts_from_when_it_was_read(pair: Pair):
    """Its holder may have renewed it while the request was under way."""
    leader, standby = await pair.elected()
    await pair.clock.advance(30)
    standby.tasks[1].cancel()  # its election starts anew below
    await pair.clock.settle()
    request = standby.transport.request

    async def slowly(*arguments, **named):
        standby.transport.request = request  # the first one only
        await pair.clock.sleep(7.5)
        return await request(*arguments, **named)

    standby.transport.request = slowly
    standby.tasks[1] = asyncio.ensure_future(standby.run())
    await pair.clock.advance(7.6)
    leader.transport.partitioned = True
    await pair.clock.until(lambda: standby.elector.remaining() > 0, within=60)
    assert leader.elector.remaining() <= 0
