"""Applications through a real API server, a real NATS and a real wadm, onto test hosts."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE

import pytest
import yaml

from support.kube.live import patch_nested
from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, Site, application, components, conditions, host_config, why
from testbed import Admin, ControlPlane, NatsServer, eventually
from testbed.admin import ApiError, condition
from testbed.audit import AuditEvent
from wasmcloud_operator.application.placements import FIELD_MANAGER

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = "k8s.wasmcloud.dev"


async def test_from_apply_to_running_and_back(site: Site) -> None:
    async with site.host() as lattice_host:
        await site.create()
        app = await site.phase("Deployed")
        status = app["status"]
        version = status["deployedVersion"]
        assert (status["lattice"], status["hostConfig"], status["versions"]) == (site.lattice, "pool", [version])
        assert status["wadm"]["type"] == "deployed"
        assert [scaler["status"] for scaler in status["scalers"]] == ["deployed"]
        assert conditions(app) == {
            "Ready": "True",
            "Reconciling": "False",
            "Stalled": "False",
            "Synced": "True",
            "LatticeConnected": "True",
        }
        assert await site.versions() == {version: True}
        assert lattice_host.components

        await site.admin.delete(APP, "hello", site.namespace)
        await site.gone()
        assert (await site.wadm("get.hello", {}))["result"] == "notfound"
        await eventually(lambda: not lattice_host.components)


async def test_placements_follow_the_hosts_and_cost_no_write_at_rest(site: Site) -> None:
    async with site.host() as first:
        await site.create()
        app = await site.reaches(lambda obj: obj["status"].get("placementCount") == 1)
        assert app["status"]["placements"] == [{"component": "web", "host": first.id, "instances": 1}]
        at_rest = (await site.phase("Deployed"))["metadata"]["resourceVersion"]
        await first.beat()
        await first.beat()
        await site.create("other")  # whatever the heartbeats would have changed is written by the time it runs
        await site.reaches(lambda obj: obj["status"].get("placementCount") == 1, "other")
        assert (await site.get())["metadata"]["resourceVersion"] == at_rest
    await site.reaches(lambda obj: "placements" not in obj["status"])


async def test_placements_that_change_all_the_time_are_written_once_a_second_at_most(
    site: Site, crds: ControlPlane
) -> None:
    assert crds.audit is not None
    async with site.host() as host:
        await site.create()
        await site.phase("Deployed")
        await site.reaches(lambda obj: obj["status"].get("placementCount") == 1)
        of_it = {"wasmcloud.dev/appspec": "hello"}
        since, started = crds.audit.end, time.monotonic()
        for instances in range(2, 32):
            # Not the component itself, whose number wadm would correct.
            host.components["beside"] = {"image_ref": "x", "annotations": of_it, "max_instances": instances}
            await host.beat()
            await asyncio.sleep(0.1)  # the churn itself
        last = {"component": "beside", "host": host.id, "instances": instances}
        await site.reaches(lambda obj: last in obj["status"]["placements"])
        seconds = time.monotonic() - started
        written = [event for event in crds.audit.events(since) if _is_of_placements(event, site.namespace)]
        assert 2 <= len(written) <= seconds + 1


def _is_of_placements(event: AuditEvent, namespace: str) -> bool:
    return event.is_write and event.namespace == namespace and f"fieldManager={FIELD_MANAGER}" in event.uri


async def test_a_template_may_leave_optional_fields_null(site: Site) -> None:
    obj = application(site.namespace, id=None, config=None, secrets=None, application=None)
    obj["spec"]["policies"] = None
    obj["spec"]["components"].append({**components("x/other:1")[0], "name": "other", "traits": None})
    await site.admin.apply(obj)
    async with site.host():
        await site.phase("Deployed")


async def test_a_change_is_a_new_version_and_going_back_is_none(site: Site) -> None:
    async with site.host():
        await site.create()
        first = (await site.phase("Deployed"))["status"]["deployedVersion"]
        await site.change("x/web:2")
        app = await site.phase("Deployed")
        second = app["status"]["deployedVersion"]
        assert await site.versions() == {first: False, second: True}
        assert app["status"]["versions"] == [first, second]
        await site.change("x/web:1")
        assert (await site.phase("Deployed"))["status"]["deployedVersion"] == first
        assert await site.versions() == {first: True, second: False}


async def test_annotations_of_gitops_tools_are_no_change(site: Site) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.annotate(**{"argocd.argoproj.io/tracking-id": "a:b", "example.com/x": "y"})
    await site.annotate(description="now it reaches wadm")
    await site.reaches(lambda obj: obj["status"]["deployedVersion"] != version)
    assert len(await site.versions()) == 2
    manifest = (await site.wadm("get.hello", {}))["manifest"]
    assert manifest["metadata"]["annotations"]["description"] == "now it reaches wadm"
    assert not [key for key in manifest["metadata"]["annotations"] if "argocd" in key]
    assert manifest["metadata"]["annotations"]["example.com/x"] == "y", "it goes along, without being a change itself"


async def test_undeploy_and_deploy_again(site: Site) -> None:
    async with site.host() as lattice_host:
        await site.create()
        version = (await site.phase("Deployed"))["status"]["deployedVersion"]
        await site.annotate(**{f"{OWN}/undeploy": "true"})
        app = await site.phase("Undeployed")
        assert "deployedVersion" not in app["status"]
        assert app["status"]["versions"] == [version]
        assert await site.versions() == {version: False}
        await eventually(lambda: not lattice_host.components)
        await site.annotate(**{f"{OWN}/undeploy": None})
        await site.phase("Deployed")
        assert await site.versions() == {version: True}


async def test_a_paused_application_is_left_alone(site: Site) -> None:
    await site.create()
    before = await site.deployed()
    await site.annotate(**{f"{OWN}/paused": "true"})
    await site.reaches(lambda obj: conditions(obj).get("Paused") == "True")
    await site.change("x/web:2")
    await site.create("other")
    await site.deployed("other")
    assert await site.versions() == {before["status"]["deployedVersion"]: True}
    await site.annotate(**{f"{OWN}/paused": None})
    await site.reaches(lambda obj: "Paused" not in conditions(obj))
    await eventually(lambda: _count(site, 2))


async def test_changes_of_others_in_wadm_are_undone(site: Site) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    assert (await site.wadm("undeploy.hello", {}))["result"] == "acknowledged"
    await eventually(lambda: _deployed(site, version))
    await site.wash_put(image="x/other:1")
    assert (await site.wadm("deploy.hello", {"version": "w1"}))["result"] == "acknowledged"
    await eventually(lambda: _deployed(site, version))
    assert (await site.wadm("del.hello", {}))["result"] == "deleted"
    await eventually(lambda: _deployed(site, version))


async def test_deleting_the_namespace_takes_its_applications_out_of_wadm(site: Site) -> None:
    for number in range(3):
        await site.create(f"app-{number}")
        await site.deployed(f"app-{number}")
    await site.admin.delete("v1/Namespace", site.namespace)
    for number in range(3):
        await site.gone(f"app-{number}")
    assert (await site.wadm("get"))["models"] == []


async def test_without_hosts_it_waits(site: Site) -> None:
    await site.create()
    await site.phase("Reconciling", reason="Waiting")


async def test_the_lattice_has_to_be_named_where_there_are_several(
    site: Site, admin: Admin, nats_server: NatsServer
) -> None:
    other = f"{site.lattice}-b"
    await admin.create(host_config(site.namespace, other, nats_server.url, "second"))
    await site.create()
    app = await site.phase("Failed", reason="AmbiguousLattice")
    assert "second" in app["status"]["message"]
    assert site.lattice in app["status"]["message"]
    await site.annotate(**{f"{OWN}/lattice": other})
    await site.reaches(lambda obj: obj["status"].get("lattice") == other and "deployedVersion" in obj["status"])
    await site.annotate(**{f"{OWN}/lattice": None, f"{OWN}/host-config": "pool"})
    await site.reaches(lambda obj: obj["status"].get("lattice") == site.lattice and not obj["status"].get("leaving"))
    assert len(await site.versions()) == 1
    assert (await site.wadm("get.hello", {}, other))["result"] == "notfound", "it has moved"
    await admin.delete(CONFIG, "second", site.namespace)


async def test_an_application_waits_for_a_host_config(site: Site, admin: Admin, nats_server: NatsServer) -> None:
    await admin.delete(CONFIG, "pool", site.namespace)
    await site.create()
    await site.phase("Reconciling", reason="NoHostConfig")
    await admin.create(host_config(site.namespace, site.lattice, nats_server.url))
    await site.deployed()


async def test_an_invalid_manifest_never_reaches_wadm_and_what_runs_stays(site: Site) -> None:
    body = application(site.namespace)
    body["spec"]["components"] *= 2
    await site.admin.create(body)
    app = await site.phase("Failed", reason="InvalidManifest")
    assert "spec.components[1].name" in app["status"]["message"]
    assert "finalizers" not in app["metadata"]
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"

    await site.patch({"spec": {"components": components()}})
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.patch({"spec": {"components": components() * 2}})
    app = await site.phase("Failed", reason="InvalidManifest")
    assert app["status"]["deployedVersion"] == version
    assert await site.versions() == {version: True}
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


BAD = {
    "latest": ({"version": "latest"}, components(), "metadata.annotations.version"),
    "duplicate ids": (
        {},
        [*components(id="a"), {**components(id="a")[0], "name": "web2"}],
        "spec.components[1].properties.id",
    ),
    "no policy": (
        {},
        components(secrets=[{"name": "s", "properties": {"policy": "vault", "key": "k"}}]),
        "spec.policies",
    ),
    "dangling link": (
        {},
        [{**components()[0], "traits": [{"type": "link", "properties": {
            "namespace": "wasi", "package": "http", "interfaces": ["incoming-handler"], "target": {"name": "gone"}}}]}],
        "spec.components[0].traits[0].properties.target",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_reported_with_its_path(site: Site, case: str) -> None:
    annotations, bad, path = BAD[case]
    body = application(site.namespace, annotations=annotations)
    body["spec"]["components"] = bad
    await site.admin.create(body)
    app = await site.phase("Failed", reason="InvalidManifest")
    assert path in app["status"]["message"]
    assert (await site.wadm("get.hello", {}))["result"] == "notfound"


async def test_odd_but_good_input_passes_as_it_is(site: Site) -> None:
    body = application(site.namespace, annotations={"version": "1.0", "description": "grüße 🚀"})
    body["spec"]["components"][0]["traits"].append({"type": "later", "properties": {"deep": [{"x": 1}]}})
    await site.admin.create(body)
    assert (await site.deployed())["status"]["deployedVersion"] == "1.0"
    manifest = (await site.wadm("get.hello", {}))["manifest"]
    assert manifest["metadata"]["annotations"]["description"] == "grüße 🚀"
    assert manifest["spec"]["components"][0]["traits"][1]["properties"] == {"deep": [{"x": 1}]}


async def test_a_manifest_near_a_megabyte_and_five_hundred_components(site: Site) -> None:
    many = application(site.namespace, "many")
    many["spec"]["components"] = [{**components()[0], "name": f"web-{number}"} for number in range(500)]
    await site.admin.create(many)
    await site.deployed("many")
    large = application(site.namespace, "large", config=[{"name": "c", "properties": {"text": "x" * 1_030_000}}])
    await site.admin.create(large)
    app = await site.phase("Failed", "large", reason="PutRejected")
    assert "large" in app["status"]["message"]


async def test_names_with_dots_are_refused_at_once(site: Site) -> None:
    with pytest.raises(ApiError, match="no dots"):
        await site.create("a.b")


async def test_an_application_that_wadm_refuses_to_deploy_is_deployed_when_it_can_be(site: Site) -> None:
    await site.create("first", id="shared-id")
    await site.deployed("first")
    await site.create("second", id="shared-id")
    app = await site.phase("Failed", "second", reason="DeployRejected")
    assert "first" in app["status"]["message"]
    assert "\n" not in app["status"]["message"]
    await site.admin.delete(APP, "first", site.namespace)
    await site.deployed("second")


async def test_others_part_of_the_status_is_left_alone(site: Site) -> None:
    await site.create()
    app = await site.phase("Reconciling", reason="Waiting")
    exposed = {
        "type": "Exposed",
        "status": "True",
        "reason": "Served",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    services = [{"name": "s", "namespace": site.namespace, "urls": ["http://s"], "readyEndpoints": 1}]
    body = {key: app[key] for key in ("apiVersion", "kind")}
    body |= {"metadata": {"name": "hello", "namespace": site.namespace}}
    body |= {"status": {"services": services, "conditions": [exposed]}}
    await site.admin.apply(body, manager="wasmcloud-operator-services", subresource="status")
    # Without hosts wadm has nothing to say of the first one any more: what is written later is written for nothing.
    await site.patch({"metadata": {"annotations": {"version": "2"}}})
    app = await site.reaches(lambda obj: obj["status"]["deployedVersion"] == "2" and why(obj) == "Waiting")
    assert app["status"]["services"] == services
    assert condition(app, "Exposed") is not None
    await site.create("other")
    await site.phase("Reconciling", "other", reason="Waiting")
    assert (await site.get())["metadata"]["resourceVersion"] == app["metadata"]["resourceVersion"]


async def test_the_apps_command_lists_owner_and_phase(site: Site, crds: ControlPlane) -> None:
    await site.create()
    version = (await site.deployed())["status"]["deployedVersion"]
    await site.wash_put("washed")

    async def listed() -> str:  # the command gives wadm a few seconds, which a busy machine may need
        code, out, error = await _command("apps", site.lattice, "--nats", site.nats.url)
        assert code == 0, error
        return out

    out = await eventually(listed, timeout=180)
    header, first, second = (line.split() for line in out.splitlines())
    assert header == ["NAME", "PHASE", "DEPLOYED", "NEWEST", "OWNER", "MESSAGE"]
    assert first[:5] == ["hello", "Reconciling", version, version, f"{site.namespace}/hello"]
    assert second == ["washed", "Undeployed", "-", "w1", "-"]
    known = ("--kubeconfig", str(crds.kubeconfig), "-o", "json")
    _, out, _ = await _command("apps", site.lattice, "--nats", site.nats.url, *known)
    cluster = yaml.safe_load(crds.kubeconfig.read_text())["clusters"][0]["name"]
    assert [app["owner"] and app["owner"]["clusterName"] for app in json.loads(out)] == [cluster, None]
    code, _, error = await _command("apps", site.lattice, "--nats", "nats://127.0.0.1:1")
    assert code == 2
    assert "127.0.0.1:1" in error
    assert "Traceback" not in error


async def _command(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wasmcloud_operator", *arguments, stdout=PIPE, stderr=PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), error.decode()


async def _deployed(site: Site, version: str) -> bool:
    return (await site.versions()).get(version) is True


async def _count(site: Site, number: int) -> bool:
    return len(await site.versions()) == number


async def test_an_application_that_cannot_be_read_any_more_runs_on_until_it_is_deleted(
    site: Site, application_operator: RunningOperator
) -> None:
    await site.create()
    await site.deployed()
    before = await site.versions()
    path = await site.admin.path(APP, site.namespace, "hello")
    component = '{"name":"web","type":"component","properties":{"image":"x/web:2"},'
    component += '"traits":[{"type":"later","properties":{"deep":NESTED}}]}'
    await patch_nested(site.admin, path, f'{{"spec":{{"components":[{component}]}}}}', levels=300)

    async def left_out() -> bool:
        name = 'wasmcloud_operator_informer_unreadable_objects{resource="applications.core.oam.dev"}'
        return f"{name} 1.0" in await application_operator.metrics()

    await eventually(left_out)
    await asyncio.sleep(3)  # the stretch that is measured
    assert await site.versions() == before, "it runs on as it is"
    await site.admin.delete(APP, "hello", site.namespace)
    await site.gone()
    assert await site.versions() == {}, "its deletion is carried out all the same"
