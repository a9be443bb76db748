"""The operator's chart: what it refuses, what it renders, and a life of its release on a real API server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube.helm import OPERATOR_CHART, Helm, HelmFailed, Values, drift
from support.objects.crds import CRD, CRD_NAME, kubevelas
from testbed import Admin, ControlPlane
from testbed.cache import ensure
from testbed.waiting import eventually
from wasmcloud_operator.commands import rbac
from wasmcloud_operator.settings import Settings

MANIFESTS = OPERATOR_CHART.parents[1]
VERSION = yaml.safe_load((OPERATOR_CHART / "Chart.yaml").read_text())["version"]
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
EVERYTHING: Values = {
    "commonLabels": {"team": "platform"},
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "podLabels": {"a": "b"},
    "podAnnotations": {"c": "d"},
    "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4317"}],
    "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {}}]},
    "metrics": {"dashboard": {"enabled": True}},
    "rbac": {"migration": True},
}
EMPTY: Values = dict.fromkeys(
    ("commonLabels", "nodeSelector", "tolerations", "affinity", "podLabels", "env", "settings", "resources")
)
# Names that YAML takes for something else than a text.
NUMBERS: Values = {
    "watchNamespaces": ["123", "1e3", "on", "null"],
    "priorityClassName": "123",
    "nameOverride": "7",
    "fullnameOverride": "operator",  # the name of a Service begins with a letter
}


@pytest.fixture
async def helm(tmp_path: Path) -> Helm:
    folder = tmp_path / "helm"
    folder.mkdir()
    return Helm(await ensure("helm"), folder)


def only(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = (obj for obj in objects if obj["kind"] == kind)
    return found


async def test_the_chart_passes_helms_own_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in await helm.run("lint", "--strict", str(OPERATOR_CHART))


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"replica": 2}, "replica"),
        ({"image": {"tags": "1"}}, "tags"),
        ({"crds": {"keeps": True}}, "keeps"),
        ({"settings": {"worker": 3}}, "worker"),
        ({"settings": {"workers": 0}}, "workers"),
        ({"metrics": {"serviceMonitor": {"enable": True}}}, "enable"),
        ({"rbac": {"aggregate": True}}, "aggregate"),
        ({"podDisruptionBudget": {"minAvailable": 1}}, "minAvailable"),
        ({"watchNamespaces": "team-a"}, "watchNamespaces"),
        ({"openshift": "yes"}, "openshift"),
        ({"watchNamespaces": ["team-a", "team-a"]}, "watchNamespaces"),
        ({"settings": {"reconcileTimeout": 3601}}, "reconcileTimeout"),
        ({"settings": {"maxConnections": 1_000_000}}, "maxConnections"),
        ({"podDisruptionBudget": {"maxUnavailable": "some"}}, "maxUnavailable"),
        ({"commonLabels": {"app.kubernetes.io/part-of": "mine"}}, "commonLabels/app.kubernetes.io~1part-of"),
        ({"podLabels": {"app.kubernetes.io/name": "mine"}}, "podLabels/app.kubernetes.io~1name"),
        ({"metrics": None}, "metrics"),
        ({"metrics": {"service": {"port": None}}}, "port"),
        ({"image": {"repository": None}}, "repository"),
        ({"crds": None}, "crds"),
        ({"settings": {"leaderElection": False}}, "Set replicas to 1"),
    ],
)
async def test_a_value_that_the_chart_does_not_know_is_refused_by_name(helm: Helm, values: Values, where: str) -> None:
    with pytest.raises(HelmFailed, match=where):
        await helm.template(OPERATOR_CHART, values)


async def test_every_setting_of_the_operator_is_a_value_and_arrives(
    helm: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {
        "leaderElection": False,
        "leaseName": "other",
        "clusterId": "one",
        "ipFamily": "ipv6",
        "workers": 7,
        "reconcileTimeout": 12.5,
        "applications": False,
        "services": False,
        "connectToPods": False,
        "orphans": "remove",
        "maxConnections": 9,
        "trustEnv": True,
        "strictX509": False,
        "logLevel": "debug",
        "logFormat": "console",
    }
    values = {"settings": chosen, "watchNamespaces": ["team-a", "team-b"], "replicas": 1}
    objects = await helm.template(OPERATOR_CHART, values)
    container = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    variables = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_arguments([])
    known = {"".join(part.capitalize() for part in name.split("_")): name for name in Settings.model_fields}
    by_value = {known[name[0].upper() + name[1:]]: value for name, value in chosen.items()}
    assert {name: getattr(settings, name) for name in by_value} == by_value
    assert settings.watch_namespaces == ("team-a", "team-b")
    # the rest is the chart's own business: where it runs, under which name, and the port that its probes ask
    assert set(Settings.model_fields) - set(by_value) == {
        "kubeconfig",
        "context",
        "namespace",
        "identity",
        "http_address",
        "watch_namespaces",
    }


def test_a_setting_has_the_same_bounds_as_a_value() -> None:
    values = json.loads((OPERATOR_CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    settings = Settings.model_json_schema()["properties"]
    bounds = ("minimum", "exclusiveMinimum", "maximum")
    for name, schema in values.items():
        setting = settings[re.sub(r"([A-Z]\d*)", r"_\1", name).lower()]
        assert {key: schema.get(key) for key in bounds} == {key: setting.get(key) for key in bounds}, name


async def test_labels_of_one_object_win_over_those_of_all_and_none_is_there_twice(helm: Helm) -> None:
    monitor = {"enabled": True, "labels": {"release": "prometheus"}}
    values = {"commonLabels": {"release": "x", "team": "a"}, "metrics": {"serviceMonitor": monitor}}
    objects = await helm.template(OPERATOR_CHART, values)  # read by a loader that refuses a key that is there twice
    labels = {obj["kind"]: obj["metadata"].get("labels", {}) for obj in objects}
    assert (labels["ServiceMonitor"]["release"], labels["ServiceMonitor"]["team"]) == ("prometheus", "a")
    assert labels["Deployment"]["release"] == "x"


async def test_releases_in_one_namespace_that_watch_others_have_leases_of_their_own(helm: Helm) -> None:
    async def lease(release: str, values: Values) -> str | None:
        text = await helm.run("template", release, str(OPERATOR_CHART), values=values)
        container = only([obj for obj in yaml.safe_load_all(text) if obj], "Deployment")["spec"]["template"]["spec"]
        env = {entry["name"]: entry.get("value") for entry in container["containers"][0]["env"]}
        return env.get("WASMCLOUD_OPERATOR_LEASE_NAME")

    assert await lease("a", {"watchNamespaces": ["team-a"]}) == "a-wasmcloud-operator"
    assert await lease("b", {"watchNamespaces": ["team-b"]}) == "b-wasmcloud-operator"
    assert await lease("b", {"watchNamespaces": ["team-b"], "settings": {"leaseName": "mine"}}) == "mine"
    assert await lease("a", {}) is None  # several that follow all namespaces stand by for each other


async def test_the_chart_and_kustomize_run_the_same_operator(helm: Helm) -> None:
    objects = await helm.template(OPERATOR_CHART, {"fullnameOverride": "wasmcloud-operator"})
    chart = only(objects, "Deployment")["spec"]["template"]["spec"]
    base = yaml.safe_load((MANIFESTS / "base" / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    for pod in (chart, base):
        pod.pop("affinity")  # selects by labels that differ
        pod["containers"][0].pop("image")
        pod["containers"][0].pop("imagePullPolicy", None)
    assert chart == base


async def test_the_rights_are_those_of_kustomize(helm: Helm) -> None:
    objects = await helm.template(OPERATOR_CHART, {"fullnameOverride": "wasmcloud-operator"})
    rendered = {(obj["kind"], obj["metadata"]["name"]): obj["rules"] for obj in objects if "rules" in obj}
    kustomize = [*rbac.cluster_wide(), *rbac.for_users()]
    assert rendered == {(obj["kind"], obj["metadata"]["name"]): obj["rules"] for obj in kustomize if "rules" in obj}


async def test_watched_namespaces_get_roles_and_no_cluster_role_for_the_operator(helm: Helm) -> None:
    values = {"watchNamespaces": ["team-a", "team-b"], "rbac": {"aggregateToUserRoles": False}}
    objects = await helm.template(OPERATOR_CHART, values)
    assert not [obj for obj in objects if obj["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    watched = [
        obj["metadata"]["namespace"]
        for obj in objects
        if obj["kind"] == "Role" and "watched" in obj["metadata"]["name"]
    ]
    assert watched == ["team-a", "team-b"]


async def test_a_service_monitor_keeps_the_labels_of_the_objects(helm: Helm) -> None:
    """Or the pool's namespace would be the operator's, and pools of one name in several namespaces be one series."""
    (endpoint,) = only(
        await helm.template(OPERATOR_CHART, {"metrics": {"serviceMonitor": {"enabled": True}}}), "ServiceMonitor"
    )["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True


async def test_on_openshift_no_user_is_fixed(helm: Helm) -> None:
    text = await helm.run("template", "test", str(OPERATOR_CHART), "--api-versions", "security.openshift.io/v1")
    pod = only([obj for obj in yaml.safe_load_all(text) if obj], "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("values", "release"),
    [({}, "test"), (EVERYTHING, "test"), (EMPTY, "test"), (NUMBERS, "1e3"), ({}, "a" * 53)],
    ids=["defaults", "everything", "nulls", "numbers", "a long name"],
)
async def test_the_api_server_takes_every_object_and_stores_it_as_it_is(
    helm: Helm, admin: Admin, namespace: str, values: Values, release: str
) -> None:
    for watched in values.get("watchNamespaces", ()):
        await admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": watched}})
    objects = await helm.template(OPERATOR_CHART, values, namespace=namespace, release=release)
    assert objects
    for obj in objects:
        path = await admin.path(
            f"{obj['apiVersion']}/{obj['kind']}", obj["metadata"].get("namespace"), obj["metadata"]["name"]
        )
        params = {"fieldManager": "helm", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
        stored = await admin.request("PATCH", path, obj, content_type="application/apply-patch+yaml", params=params)
        assert list(drift(obj, stored)) == []


async def test_an_editor_of_a_namespace_may_write_both_kinds_and_a_viewer_may_read_them(
    crds: ControlPlane, admin: Admin, namespace: str
) -> None:
    for obj in rbac.for_users():
        await admin.apply(obj)
    for user, role in (("alice", "edit"), ("bob", "view")):
        await admin.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": user, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            }
        )

    async def may(user: str, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": asked},
        }
        return bool((await admin.create(review))["status"].get("allowed"))

    async def aggregated() -> bool:
        return await may("alice", "create", "core.oam.dev", "applications") and await may(
            "bob", "list", "core.oam.dev", "applications"
        )

    await eventually(aggregated)
    config = ("k8s.wasmcloud.dev", "wasmcloudhostconfigs")
    for verb in ("create", "update", "patch", "delete", "list", "watch"):
        assert await may("alice", verb, *config)
    assert await may("alice", "patch", *config, "scale")
    assert await may("bob", "get", *config, "scale")
    for user in ("alice", "bob"):
        for kind in (config, ("core.oam.dev", "applications")):
            assert await may(user, "get", *kind, "status")  # kubectl get --subresource=status
            assert not [verb for verb in ("update", "patch") if await may(user, verb, *kind, "status")]
    for verb in ("create", "update", "patch", "delete"):
        assert not await may("bob", verb, *config)
        assert not await may("bob", verb, "core.oam.dev", "applications")
    assert not await may("carol", "get", "core.oam.dev", "applications")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """A control plane without our CRDs: the chart brings them."""
    async with ControlPlane.start(tmp_path / "cluster") as running:
        yield running


def crd_names() -> Iterator[str]:
    for file in sorted((MANIFESTS / "crds").glob("*.yaml")):
        yield yaml.safe_load(file.read_text())["metadata"]["name"]


async def test_a_release_is_installed_upgraded_rolled_back_and_removed(helm: Helm, cluster: ControlPlane) -> None:
    helm = Helm(helm.program, helm.folder, cluster.kubeconfig_for(cluster.user("admin")))
    release = ("wasmcloud", "--namespace", "operator-system")
    deployment = ("apps/v1/Deployment", "wasmcloud-wasmcloud-operator", "operator-system")
    async with cluster.admin() as admin:
        await helm.run("install", *release, "--create-namespace", str(OPERATOR_CHART))
        pool = {
            "apiVersion": "k8s.wasmcloud.dev/v1alpha1",
            "kind": "WasmCloudHostConfig",
            "metadata": {"name": "kept", "namespace": "default"},
            "spec": {"lattice": "default", "version": "1.9.0"},
        }
        await eventually(lambda: admin.create(pool))
        await helm.run("upgrade", *release, str(OPERATOR_CHART), values={"replicas": 3})
        assert (await admin.get(*deployment))["spec"]["replicas"] == 3
        await helm.run("rollback", *release, "1")
        assert (await admin.get(*deployment))["spec"]["replicas"] == 2
        single = {"replicas": 1, "settings": {"leaderElection": False}}
        await helm.run("upgrade", *release, str(OPERATOR_CHART), values=single)
        # or two operators that elect no leader would write for the time of an update
        assert (await admin.get(*deployment))["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
        await helm.run("uninstall", *release)
        assert await admin.find(*deployment) is None
        for name in crd_names():
            assert await admin.find("apiextensions.k8s.io/v1/CustomResourceDefinition", name)
        assert (await admin.get("k8s.wasmcloud.dev/v1alpha1/WasmCloudHostConfig", "kept", "default"))["spec"]["lattice"]
        # the CRDs that were kept are taken up again by the next release
        await helm.run("install", *release, str(OPERATOR_CHART), "--take-ownership")
        # and another one for some namespaces does without them
        others: Values = {"crds": {"enabled": False}, "watchNamespaces": ["default"]}
        await helm.run("install", "second", *release[1:], str(OPERATOR_CHART), values=others)
        await helm.run("upgrade", *release, str(OPERATOR_CHART), values=single)


async def test_a_kustomize_install_is_adopted(helm: Helm, cluster: ControlPlane) -> None:
    helm = Helm(helm.program, helm.folder, cluster.kubeconfig_for(cluster.user("admin")))
    namespace = "wasmcloud-operator"
    async with cluster.admin() as admin:
        await admin.apply_files(*sorted((MANIFESTS / "crds").glob("*.yaml")))
        await admin.create_namespace(namespace)
        for file in ("rbac.yaml", "user-roles.yaml", "pdb.yaml", "deployment.yaml"):
            for obj in yaml.safe_load_all((MANIFESTS / "base" / file).read_text()):
                await admin.apply(obj, None if obj["kind"] in CLUSTER_SCOPED else namespace)
        release = ("wasmcloud-operator", "--namespace", namespace, str(OPERATOR_CHART))
        with pytest.raises(HelmFailed, match="ownership"):
            await helm.run("install", *release)
        await helm.run("install", *release, "--take-ownership", "--force-conflicts")
        role = await admin.get("rbac.authorization.k8s.io/v1/ClusterRole", "wasmcloud-operator")
    assert role["metadata"]["annotations"]["meta.helm.sh/release-name"] == "wasmcloud-operator"


async def test_a_crd_of_somebody_else_is_never_overwritten(helm: Helm, cluster: ControlPlane) -> None:
    helm = Helm(helm.program, helm.folder, cluster.kubeconfig_for(cluster.user("admin")))
    release = ("wasmcloud", "--namespace", "operator-system", "--create-namespace", "--take-ownership")
    async with cluster.admin() as admin:
        before = await admin.create(kubevelas())
        with pytest.raises(HelmFailed, match=r"belongs to somebody else .* Set settings.applications to false"):
            await helm.run("install", *release, str(OPERATOR_CHART))
        without = {"settings": {"applications": False}}
        await helm.run("install", *release, str(OPERATOR_CHART), values=without)
        assert await admin.find(CRD, "wasmcloudhostconfigs.k8s.wasmcloud.dev")
        with pytest.raises(HelmFailed, match="Keep it first"):
            await helm.run("upgrade", *release[:3], str(OPERATOR_CHART), values=without)
        await admin.patch(CRD, CRD_NAME, None, {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}})
        await helm.run("upgrade", *release[:3], str(OPERATOR_CHART), values=without)
        assert (await admin.get(CRD, CRD_NAME))["spec"] == before["spec"]


async def test_a_crd_put_in_place_of_the_releases_own_is_not_deleted_with_it(helm: Helm, cluster: ControlPlane) -> None:
    helm = Helm(helm.program, helm.folder, cluster.kubeconfig_for(cluster.user("admin")))
    release = ("wasmcloud", "--namespace", "operator-system")
    async with cluster.admin() as admin:
        await helm.run("install", *release, "--create-namespace", str(OPERATOR_CHART))
        await admin.delete(CRD, CRD_NAME)
        await admin.wait_for(CRD, CRD_NAME, None, lambda found: found is None)
        theirs = await admin.create(kubevelas())
        for values, says in (({}, "it would be overwritten"), ({"settings": {"applications": False}}, "Keep it first")):
            with pytest.raises(HelmFailed, match=says):
                await helm.run("upgrade", *release, str(OPERATOR_CHART), values=values)
        await admin.patch(CRD, CRD_NAME, None, {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}})
        await helm.run("upgrade", *release, str(OPERATOR_CHART), values={"settings": {"applications": False}})
        kept = await admin.get(CRD, CRD_NAME)
    assert (kept["metadata"]["uid"], kept["spec"]) == (theirs["metadata"]["uid"], theirs["spec"])


async def test_a_packaged_chart_is_whole(helm: Helm, tmp_path: Path) -> None:
    await helm.run("package", str(OPERATOR_CHART), "--destination", str(tmp_path))
    archive = tmp_path / f"{OPERATOR_CHART.name}-{VERSION}.tgz"
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    packaged = await helm.template(tmp_path / "unpacked" / OPERATOR_CHART.name)
    assert packaged == await helm.template(OPERATOR_CHART)
