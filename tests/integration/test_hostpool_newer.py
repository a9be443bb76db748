"""Configs that another schema let through: one that cannot be read is said to be so, and the others go on."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest_asyncio
import yaml

from support.operators.in_process import RunningOperator
from support.sites.hostpools import CONFIG, DEPLOYMENT, at_rest, exists, host_config, shown, writes
from testbed import eventually
from testbed.admin import ApiError, condition

HOST_CONFIGS = Path(__file__).parents[2] / "manifests" / "crds" / "k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml"
CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
UNREADABLE = {
    "broken": {"hostReplicas": "many", "lattice": ""},
    "newer": {"brandNew": {"x": 1}},
    "no-version": {"version": None},
}


def without_a_schema():
    crd = yaml.safe_load(HOST_CONFIGS.read_text())
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    (version,) = crd["spec"]["versions"]
    del version["subresources"]["scale"]  # it insists on a number
    version["schema"]["openAPIV3Schema"] = {**anything, "properties": {"spec": anything, "status": anything}}
    return crd


async def taken(admin, config):
    """Whether the schema that is served takes the config; it is made then."""
    try:
        await admin.create(config)
    except ApiError as error:
        if error.status != 422:
            raise
        return False
    return True


@pytest_asyncio.fixture
async def unreadable(crds, admin, namespace):
    """The configs that cannot be read, and a CRD that takes them; the right CRD is served again afterwards."""
    crd = without_a_schema()
    name = crd["metadata"]["name"]
    served = await admin.get(CRD, name)
    await admin.replace({**served, "spec": crd["spec"]})
    try:
        # The first is refused for as long as the schema is in force; the second would be taken, and pruned.
        for config, spec in UNREADABLE.items():
            await eventually(lambda config=config, spec=spec: taken(admin, host_config(namespace, config, **spec)))
        yield
    finally:
        changed = await admin.get(CRD, name)
        await admin.replace({**changed, "spec": served["spec"]})

        async def refused():
            return not await taken(admin, host_config(namespace, f"x{secrets.token_hex(4)}", lattice=""))

        await eventually(refused)


async def test_a_config_that_cannot_be_read_is_stalled_and_others_go_on(crds, admin, namespace, unreadable):
    async with RunningOperator.start(crds, watch_namespaces=namespace):
        await admin.create(host_config(namespace, "fine"))
        for name in UNREADABLE:
            await shown(admin, namespace, name, Stalled="InvalidSpec", Ready="False")
        status = (await admin.get(CONFIG, "newer", namespace))["status"]
        assert ".spec.brandNew" in condition({"status": status}, "Stalled")["message"]
        status = (await admin.get(CONFIG, "broken", namespace))["status"]
        message = condition({"status": status}, "Stalled")["message"]
        assert ".spec.hostReplicas" in message
        assert ".spec.lattice" in message
        await exists(admin, DEPLOYMENT, namespace, "fine")
        for name in UNREADABLE:
            assert await admin.find(DEPLOYMENT, name, namespace) is None
        since = await at_rest(crds, namespace)
        assert writes(crds, since, namespace) == []
