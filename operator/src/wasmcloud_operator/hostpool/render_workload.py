"""Everything that a host pool consists of in the cluster, as plain objects ready to be applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.hostpool import naming
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.nats_addresses import has_userinfo
from wasmcloud_operator.hostpool.natsconf import CLIENT_PORT, DEFAULT_PAYLOAD, LeafFiles, nats_conf
from wasmcloud_operator.hostpool.other_budgets import has_budget
from wasmcloud_operator.hostpool.pod import pod_template
from wasmcloud_operator.hostpool.render_leaf import CONF_KEY
from wasmcloud_operator.kube.resources import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    SERVICE_ACCOUNT,
    Resource,
)
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator_types import DisruptionBudget, WasmCloudHostConfig, WasmCloudHostConfigSpec

# The kinds that a pool's children can be of; one that is no longer wanted is looked for among these.
WORKLOADS = (DEPLOYMENT, DAEMON_SET)
KINDS = (SERVICE_ACCOUNT, CONFIG_MAP, SERVICE, *WORKLOADS, POD_DISRUPTION_BUDGET)

# Time for wadm to start the providers on a new host before an old one goes.
_MIN_READY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Child:
    """One object of the pool, of the kind `resource`."""

    resource: Resource
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Children:
    """The pool's objects: those the pods need first, then the workload, then the rest."""

    before: tuple[Child, ...]
    workload: Child
    after: tuple[Child, ...]
    # The text of nats.conf if it has a password in it, for an owned Secret; empty if the ConfigMap has it.
    secret_conf: str = field(default="", repr=False)

    @property
    def leaf_address(self) -> str:
        """Where other pods reach the leaf nodes; `loopback` if they do not."""
        for child in self.after:
            if child.resource is SERVICE:
                return f"{child.body['metadata']['name']}.{child.body['metadata']['namespace']}.svc:{CLIENT_PORT}"
        return "loopback"

    @property
    def all(self) -> tuple[Child, ...]:
        """All of them."""
        return (*self.before, self.workload, *self.after)


def render(config: WasmCloudHostConfig, facts: Facts) -> Children:
    """The children of a config. Raises SpecError for what the CRD's schema cannot refuse."""
    tls = facts.hub_tls
    files = LeafFiles(facts.credentials, bool(tls and tls.ca), bool(tls and tls.client))
    open_ = leaf_is_open(config.spec, facts)
    conf = nats_conf(config.spec, files, on_pod=open_, max_payload=facts.max_payload)
    secret = has_userinfo(config.spec)
    config_map = _child(config, CONFIG_MAP, "leaf", **({} if secret else {"data": {CONF_KEY: conf}}))
    if facts.max_payload != DEFAULT_PAYLOAD:
        config_map.body["metadata"]["annotations"] = {naming.MAX_PAYLOAD: str(facts.max_payload)}
    after: list[Child] = []
    if open_:
        after.append(_service(config, facts))
    if has_budget(config.spec, facts):
        after.append(_disruption_budget(config))
    before = (*_service_account(config), config_map)
    return Children(before, _workload(config, conf, facts), tuple(after), conf if secret else "")


def _service_account(config: WasmCloudHostConfig) -> tuple[Child, ...]:
    """The pool's own account, unless the pods have one that is there already."""
    wanted = config.spec.service_account
    if wanted is not None and wanted.name is not None:
        return ()
    child = _child(config, SERVICE_ACCOUNT, "host", automountServiceAccountToken=False)
    if wanted is not None and wanted.annotations:
        child.body["metadata"]["annotations"] = dict(sorted(wanted.annotations.items()))
    return (child,)


def leaf_is_open(spec: WasmCloudHostConfigSpec, facts: Facts) -> bool:
    """Whether other pods reach the leaf nodes.

    With credentials for the hub they do only where that is asked for, or was so before this operator: they would act in
    the hub's account without having its credentials.
    """
    if spec.leaf_service is not None and spec.leaf_service.enabled is not None:
        return spec.leaf_service.enabled
    return facts.leaf_service_kept or not _has_credentials(spec, facts)


def leaf_warnings(spec: WasmCloudHostConfigSpec, facts: Facts) -> Iterator[Problem]:
    """What is open to others though nobody asked for it."""
    asked = spec.leaf_service is not None and spec.leaf_service.enabled is not None
    if facts.leaf_service_kept and not asked and _has_credentials(spec, facts):
        yield Problem(
            Reason.LEAF_SERVICE_OPEN,
            ".spec.leafService.enabled",
            "is not set, so the leaf nodes' Service stays as it was found: whoever reaches its port 4222 acts in the"
            " hub's account without credentials; set it to false to close it, or to true to keep it",
        )


def _has_credentials(spec: WasmCloudHostConfigSpec, facts: Facts) -> bool:
    return facts.credentials or has_userinfo(spec) or bool(facts.hub_tls and facts.hub_tls.client)


def _workload(config: WasmCloudHostConfig, conf: str, facts: Facts) -> Child:
    template = pod_template(config, conf, facts)
    strategy = {"type": "RollingUpdate", "rollingUpdate": _rolling_update(config.spec, template["spec"])}
    spec: JsonObject = {
        "selector": {"matchLabels": naming.selector_labels(config)},
        "minReadySeconds": _MIN_READY_SECONDS,
        "template": template,
    }
    if config.spec.as_daemonset:
        return _child(config, DAEMON_SET, "host", spec={**spec, "updateStrategy": strategy})
    replicas = config.spec.host_replicas
    return _child(config, DEPLOYMENT, "host", spec={**spec, "replicas": replicas, "strategy": strategy})


def _rolling_update(spec: WasmCloudHostConfigSpec, pod: JsonObject) -> JsonObject:
    """One more before one goes, so that no request is lost; where a DaemonSet's pods hold ports of the node, one goes
    before the next."""
    wanted = spec.scheduling_options.rolling_update if spec.scheduling_options is not None else None
    surge = wanted.max_surge if wanted is not None else None
    unavailable = wanted.max_unavailable if wanted is not None else None
    some = unavailable if unavailable not in (0, "0%") else None
    if spec.as_daemonset and surge is None and (holds_node_ports(pod) or some is not None):
        surge, unavailable = 0, 1 if some is None else some
    elif not spec.as_daemonset and holds_node_ports(pod) and unavailable is None:
        unavailable = 1  # every node may have one already
    return {
        "maxSurge": 1 if surge is None else surge,
        "maxUnavailable": (1 if surge in (0, "0%") else 0) if unavailable is None else unavailable,
    }


def holds_node_ports(pod: JsonObject) -> bool:
    """Whether no two pods of that spec can run on one node."""
    containers = [*pod["initContainers"], *pod["containers"]]
    ports = (port for container in containers for port in container.get("ports") or ())
    return bool(pod.get("hostNetwork")) or any(port.get("hostPort") for port in ports)


def _service(config: WasmCloudHostConfig, facts: Facts) -> Child:
    port = {"name": "nats-client", "port": CLIENT_PORT, "targetPort": CLIENT_PORT, "protocol": "TCP"}
    port["appProtocol"] = "tcp"  # a service mesh takes the name for a protocol of its own otherwise
    child = _child(
        config, SERVICE, "leaf", spec={"selector": naming.selector_labels(config), "ports": [port], "type": "ClusterIP"}
    )
    child.body["metadata"]["labels"]["wasmcloud.dev/route-to"] = "true"
    if facts.leaf_service_kept:
        child.body["metadata"]["annotations"] = {naming.ADOPTED: "true"}
    return child


def _disruption_budget(config: WasmCloudHostConfig) -> Child:
    wanted = config.spec.pod_disruption_budget or DisruptionBudget()
    budget: JsonObject = {
        "selector": {"matchLabels": naming.selector_labels(config)},
        # A host that never becomes ready must not hold up the draining of its node.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    if wanted.min_available is not None:
        budget["minAvailable"] = wanted.min_available
    else:
        budget["maxUnavailable"] = 1 if wanted.max_unavailable is None else wanted.max_unavailable
    return _child(config, POD_DISRUPTION_BUDGET, "host", spec=budget)


def _child(config: WasmCloudHostConfig, resource: Resource, component: str, **fields: Json) -> Child:
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": config.metadata.name,
            "namespace": config.metadata.namespace,
            "labels": naming.child_labels(config, component),
            "ownerReferences": [naming.owner_reference(config)],
        },
        **fields,
    }
    return Child(resource, body)
