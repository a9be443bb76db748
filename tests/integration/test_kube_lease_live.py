"""Leader election on a real API server: who leads once the leader has stopped or died."""

from __future__ import annotations

import asyncio

import pytest

from support.kube.live import KubeLive
from testbed import Admin, ControlPlane, eventually
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.kube import lease
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector, LeaseLost, LeaseTimes
from wasmcloud_operator.kube.resources import LEASE, Key

SHORT = LeaseTimes(duration=6.0, renew_deadline=4.0, retry=0.5)


class Replica:
    """A process: a client and lease informer of its own, an elector, and whether it leads."""

    def __init__(self, live: KubeLive, key: Key, name: str, times: LeaseTimes) -> None:
        informer = live.informer(
            LEASE, LEASE_CODEC, namespaces=(key.namespace,), field_selector=f"metadata.name={key.name}"
        )
        self.elector = Elector(
            client=live.client,
            informer=informer,
            key=key,
            identity=name,
            clock=SYSTEM_CLOCK,
            metrics=live.metrics,
            times=times,
        )
        self.stop = asyncio.Event()
        self.leading = False
        self.task = live.start(self.run())

    async def run(self) -> None:
        while not self.stop.is_set():
            try:
                await self.elector.run(self.lead)
            except LeaseLost:
                continue

    async def lead(self) -> None:
        self.leading = True
        try:
            await self.stop.wait()
        finally:
            self.leading = False


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "kill"])
async def test_a_standby_takes_over(
    control_plane: ControlPlane, admin: Admin, namespace: str, clean: bool, monkeypatch: pytest.MonkeyPatch
):
    """A clean stop with the real times (15/10/2 s), a kill with shorter ones; how soon is the unit tests' to say."""
    monkeypatch.setattr(lease, "_RELEASE_SECONDS", 60.0)
    key = Key(namespace, "leader")
    times = LeaseTimes() if clean else SHORT
    # As somebody gave it back: one that was never held would be waited for.
    await admin.create(
        {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": key.name, "namespace": namespace},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"},
        }
    )
    async with KubeLive.open(control_plane.kubeconfig) as first, KubeLive.open(control_plane.kubeconfig) as second:
        one = Replica(first, key, "one", times)
        await eventually(lambda: one.leading)
        two = Replica(second, key, "two", times)
        await asyncio.sleep(1)  # long enough for a second leader, if there could be one
        assert not (one.leading and two.leading)
        leader = await eventually(lambda: next((replica for replica in (one, two) if replica.leading), None))
        standby = two if leader is one else one
        assert standby.elector.remaining() <= 0
        if clean:
            leader.stop.set()
        else:
            leader.task.cancel()
        await eventually(lambda: standby.leading, interval=0.01)
        assert leader.elector.remaining() <= 0
        held = await second.client.get_as(LEASE, key, LEASE_CODEC)
        assert held.spec.holder_identity == standby.elector.identity
        assert held.spec.lease_transitions
        standby.stop.set()
        await eventually(standby.task.done)
        held = await second.client.get_as(LEASE, key, LEASE_CODEC)
        assert held.spec.holder_identity == ""
