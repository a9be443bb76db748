"""When an earlier operator counts as still running: its finalizer came back soon after it was taken off."""

from __future__ import annotations

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube.errors import Forbidden
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, OwnerReference, Unstructured
from wasmcloud_operator.kube.resources import DAEMON_SET, DEPLOYMENT, ROLE, ROLE_BINDING
from wasmcloud_operator.legacy.hostpools import FINALIZER, RIVAL_SECONDS, RustPools, leftovers


def config(*finalizers):
    return CustomResource(ObjectMeta("pool", "ns", "u1", "1", finalizers=finalizers))


class Api:
    """Answers of the API server, and what was asked of it."""

    def __init__(self, owner="u1", error=None):
        self.owner, self.error = owner, error
        self.deleted, self.patches, self.offered = [], [], []

    async def find(self, resource, key):
        if self.error is not None:
            raise self.error
        if self.owner is None:
            return None
        owner = OwnerReference("WasmCloudHostConfig", "pool", self.owner)
        return Unstructured(ObjectMeta(key.name, key.namespace, "role-uid", "1", owner_references=(owner,)), {})

    async def delete(self, resource, key, *, uid):
        self.deleted.append((resource, uid))

    async def patch(self, resource, key, patch, patch_type, codec):
        self.patches.append(patch)
        return config()

    def offer(self, item):
        self.offered.append(item)


def former(api, clock=None):
    return RustPools(api, api, clock or VirtualClock())


async def test_the_finalizer_goes_by_its_position_after_all_else():
    api = Api()
    assert await former(api).clean_up(config("other/finalizer", FINALIZER), DEPLOYMENT, rolled_out=True)
    assert [step["path"] for step in api.patches[0]] == ["/metadata/uid", *2 * ["/metadata/finalizers/1"]]
    assert [step["op"] for step in api.patches[0]] == ["test", "test", "remove"]
    assert api.deleted == [(resource, "role-uid") for resource in (ROLE_BINDING, ROLE, DAEMON_SET)]


async def test_without_the_finalizer_nothing_is_asked():
    api = Api()
    assert not await former(api).clean_up(config("other/finalizer"), DEPLOYMENT, rolled_out=True)
    assert (api.patches, api.deleted) == ([], [])


@pytest.mark.parametrize("api", [Api(owner="somebody"), Api(owner=None), Api(error=Forbidden(403, "Forbidden", ""))])
async def test_a_strangers_or_forbidden_object_stays_and_holds_nothing_up(api):
    assert await former(api).clean_up(config(FINALIZER), DEPLOYMENT, rolled_out=True)
    assert api.deleted == []
    assert len(api.patches) == 1


async def test_a_finalizer_that_comes_back_shows_a_rust_operator_for_a_while():
    clock = VirtualClock()
    rival = former(Api(), clock)
    assert not rival.still_runs(config(FINALIZER))  # left behind
    await rival.release(config(FINALIZER))
    assert not rival.still_runs(config())
    assert rival.still_runs(config(FINALIZER))
    await clock.advance(RIVAL_SECONDS + 1)
    assert not rival.still_runs(config(FINALIZER))  # it is tried again
    await rival.release(config(FINALIZER))
    rival.forget(config().metadata.key)
    assert not rival.still_runs(config(FINALIZER))  # of another config of that name


async def test_the_other_workload_and_the_finalizer_stay_until_the_wanted_workload_has_rolled_out():
    api = Api()
    assert not await former(api).clean_up(config(FINALIZER), DEPLOYMENT, rolled_out=False)
    assert [resource for resource, _ in api.deleted] == [ROLE_BINDING, ROLE]
    assert api.patches == []


async def test_without_another_workload_the_finalizer_goes_before_the_rollout_has_ended():
    api = Api(owner=None)
    assert await former(api).clean_up(config(FINALIZER), DEPLOYMENT, rolled_out=False)
    assert len(api.patches) == 1


def test_the_rust_operator_may_have_left_a_workload_of_the_other_kind():
    assert leftovers(DEPLOYMENT)[-1] is DAEMON_SET
    assert leftovers(DAEMON_SET)[-1] is DEPLOYMENT
