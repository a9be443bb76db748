"""Everything that a host pool consists of in the cluster, as plain objects ready to be applied."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.hostconfig import names
from wasmcloud_operator.hostconfig.facts import Facts
from wasmcloud_operator.hostconfig.natsconf import CLIENT_PORT, nats_conf
from wasmcloud_operator.hostconfig.pod import pod_template
from wasmcloud_operator.kube.jsontypes import Json, JsonObject
from wasmcloud_operator.kube.resources import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    SERVICE_ACCOUNT,
    Resource,
)
from wasmcloud_operator_types import WasmCloudHostConfig

# The kinds that a pool's children can be of; one that is no longer wanted is looked for among these.
KINDS = (SERVICE_ACCOUNT, CONFIG_MAP, SERVICE, DEPLOYMENT, DAEMON_SET, POD_DISRUPTION_BUDGET)

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

    @property
    def all(self) -> tuple[Child, ...]:
        """All of them."""
        return (*self.before, self.workload, *self.after)


def render(config: WasmCloudHostConfig, facts: Facts) -> Children:
    """The children of a config. Raises SpecError for what the CRD's schema cannot refuse."""
    conf = nats_conf(
        config.spec,
        credentials=bool(facts.credentials_digest),
        tls_ca=bool(facts.hub_tls and facts.hub_tls.ca),
        tls_client=bool(facts.hub_tls and facts.hub_tls.client),
    )
    service_account = _child(config, SERVICE_ACCOUNT, "host", automountServiceAccountToken=False)
    config_map = _child(config, CONFIG_MAP, "leaf", data={"nats.conf": conf})
    after: list[Child] = []
    if config.spec.leaf_service is None or config.spec.leaf_service.enabled is not False:
        after.append(_service(config))
    if config.spec.pod_disruption_budget is not None:
        after.append(_disruption_budget(config))
    return Children((service_account, config_map), _workload(config, conf, facts), tuple(after))


def _workload(config: WasmCloudHostConfig, conf: str, facts: Facts) -> Child:
    template = pod_template(config, conf, facts)
    selector = {"matchLabels": names.selector_labels(config)}
    one_by_one = {"maxSurge": 1, "maxUnavailable": 0}
    if config.spec.as_daemonset:
        spec: JsonObject = {
            "selector": selector,
            "minReadySeconds": _MIN_READY_SECONDS,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": one_by_one},
            "template": template,
        }
        return _child(config, DAEMON_SET, "host", spec=spec)
    spec = {
        "replicas": config.spec.host_replicas,
        "selector": selector,
        "minReadySeconds": _MIN_READY_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": one_by_one},
        "template": template,
    }
    return _child(config, DEPLOYMENT, "host", spec=spec)


def _service(config: WasmCloudHostConfig) -> Child:
    port = {"name": "nats-client", "port": CLIENT_PORT, "targetPort": CLIENT_PORT, "protocol": "TCP"}
    child = _child(
        config, SERVICE, "leaf", spec={"selector": names.selector_labels(config), "ports": [port], "type": "ClusterIP"}
    )
    child.body["metadata"]["labels"]["wasmcloud.dev/route-to"] = "true"
    return child


def _disruption_budget(config: WasmCloudHostConfig) -> Child:
    wanted = config.spec.pod_disruption_budget
    budget: JsonObject = {"selector": {"matchLabels": names.selector_labels(config)}}
    if wanted is not None and wanted.min_available is not None:
        budget["minAvailable"] = wanted.min_available
    else:
        given = wanted.max_unavailable if wanted is not None else None
        budget["maxUnavailable"] = 1 if given is None else given
    return _child(config, POD_DISRUPTION_BUDGET, "host", spec=budget)


def _child(config: WasmCloudHostConfig, resource: Resource, component: str, **fields: Json) -> Child:
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": config.metadata.name,
            "namespace": config.metadata.namespace,
            "labels": names.child_labels(config, component),
            "ownerReferences": [names.owner_reference(config)],
        },
        **fields,
    }
    return Child(resource, body)
