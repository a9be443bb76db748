"""Configs that another schema let through: one that cannot be read is said to be so, and the others go on."""

from __future__ import annotations

from pathlib import Path

import yaml

from hostlive import CONFIG, DEPLOYMENT, at_rest, exists, host_config, shown, writes
from operatorfixture import RunningOperator
from testbed import ControlPlane
from testbed.admin import condition

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
APPLICATIONS = CRDS / "core.oam.dev_applications.yaml"
HOST_CONFIGS = CRDS / "k8s.wasmcloud.dev_wasmcloudhostconfigs.yaml"


def without_a_schema():
    crd = yaml.safe_load(HOST_CONFIGS.read_text())
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    (version,) = crd["spec"]["versions"]
    del version["subresources"]["scale"]  # it insists on a number
    version["schema"]["openAPIV3Schema"] = {**anything, "properties": {"spec": anything, "status": anything}}
    return crd


async def test_what_cannot_be_read_is_stalled_and_others_go_on(tmp_path):
    async with ControlPlane.start(tmp_path, audit=True) as cluster, cluster.admin() as admin:
        crd_file = tmp_path / "crd.yaml"
        crd_file.write_text(yaml.safe_dump(without_a_schema()))
        await admin.apply_files(APPLICATIONS, crd_file)
        async with RunningOperator.start(cluster):
            await admin.create(host_config("default", "newer", brandNew={"x": 1}))
            await admin.create(host_config("default", "broken", hostReplicas="many", lattice=""))
            await admin.create(host_config("default", "no-version", version=None))
            await admin.create(host_config("default", "fine"))
            for name in ("newer", "broken", "no-version"):
                await shown(admin, "default", name, Stalled="InvalidSpec", Ready="False")
            status = (await admin.get(CONFIG, "newer", "default"))["status"]
            assert ".spec.brandNew" in condition({"status": status}, "Stalled")["message"]
            status = (await admin.get(CONFIG, "broken", "default"))["status"]
            message = condition({"status": status}, "Stalled")["message"]
            assert ".spec.hostReplicas" in message
            assert ".spec.lattice" in message
            await exists(admin, DEPLOYMENT, "default", "fine")
            for name in ("newer", "broken", "no-version"):
                assert await admin.find(DEPLOYMENT, name, "default") is None
            since = await at_rest(cluster, "default")
            assert writes(cluster, since, "default") == []
