"""What a user gets wrong in a custom resource is refused by a real API server with words that help."""

from __future__ import annotations

import pytest

from support.objects.custom_resources import HELLO, HOSTS, refusal, with_place, with_spec

LABEL_RULE = "hostLabels must be usable as pod labels"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hostReplicas": -1}, "spec.hostReplicas: Invalid value: -1"),
        ({"hostReplicas": "2"}, 'spec.hostReplicas: Invalid value: "string"'),
        ({"lattice": ""}, "spec.lattice: Invalid value"),
        ({"lattice": "a b"}, "spec.lattice: Invalid value"),
        ({"lattice": "a.>"}, "spec.lattice: Invalid value"),
        ({"lattice": None}, "spec.lattice: Required value"),
        ({"version": ""}, "spec.version: Invalid value"),
        ({"version": "1.0 beta"}, "spec.version: Invalid value"),
        ({"natsClientPort": 0}, "spec.natsClientPort: Invalid value: 0: spec.natsClientPort in body should be greater"),
        ({"natsLeafnodePort": 65536}, "spec.natsLeafnodePort: Invalid value: 65536"),
        ({"natsClientPort": "4222"}, 'spec.natsClientPort: Invalid value: "string"'),
        ({"hostLabels": {"-bad": "x"}}, LABEL_RULE),
        ({"hostLabels": {"with space": "x"}}, LABEL_RULE),
        ({"hostLabels": {"a/b": "x"}}, LABEL_RULE),
        ({"hostLabels": {"a" * 64: "x"}}, LABEL_RULE),
        ({"hostLabels": {"a": "no spaces"}}, LABEL_RULE),
        ({"hostLabels": {"a": 5}}, 'spec.hostLabels.a: Invalid value: "integer"'),
        (
            {"observability": {"protocol": "carrier-pigeon"}},
            "spec.observability.protocol in body should match '^(grpc|http)$'",
        ),
        ({"logLevel": "info,async_nats=debug"}, "should match '^(ERROR|WARN|INFO|"),
        ({"policyService": {"timeoutMs": 5}}, "timeoutMs and changesTopic need topic"),
        ({"certificates": {"authorities": [{"name": "x"}]}}, "name either a secret or a configMap"),
        ({"issuers": ["C"], "version": "0.82.0"}, "issuers need secretName"),
        ({"daemonset": True, "schedulingOptions": {"daemonset": False}}, "contradict each other"),
        (
            {"daemonset": True, "podDisruptionBudget": {}},
            "podDisruptionBudget of a daemonset can only have minAvailable",
        ),
        (
            {"schedulingOptions": {"daemonset": True}, "podDisruptionBudget": {"minAvailable": "50%"}},
            "podDisruptionBudget of a daemonset can only have minAvailable",
        ),
        ({"podMetadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "none of the operator's own"),
        ({"podMetadata": {"annotations": {"checksum.k8s.wasmcloud.dev/x": "x"}}}, "none of the operator's own"),
        ({"podMetadata": {"labels": {"a": "no spaces"}}}, "values must be usable as labels"),
        ({"serviceAccount": {"name": "a", "annotations": {"b": "c"}}}, "set name or annotations, not both"),
        ({"serviceAccount": {"annotations": {"a b": "c"}}}, "keys must be those of labels"),
        ({"probes": {"port": 8222}}, "4222 and 8222 are the leaf node's"),
        ({"leafNodeDomain": "default"}, "leafNodeDomain and jetstreamDomain must differ"),
        ({"jetstreamDomain": "leaf"}, "leafNodeDomain and jetstreamDomain must differ"),
        ({"schedulingOptions": {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}}}, "no pod could be replaced"),
        ({"schedulingOptions": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "maxUnavailable"),
        ({"podDisruptionBudget": {"minAvailable": "a few"}}, "minAvailable"),
        ({"schedulingOptions": {"resources": {"wasmcloud": {"limits": {"memory": "1GB"}}}}}, "limits.memory"),
        ({"schedulingOptions": {"resources": {"nats": {"requests": {"cpu": -1}}}}}, "requests.cpu"),
        ({"secretName": "Not A Name"}, "spec.secretName: Invalid value"),
        ({"natsAddress": "nats://a\nb"}, "spec.natsAddress: Invalid value"),
        ({"maxLinearMemoryBytes": 1}, "spec.maxLinearMemoryBytes: Invalid value"),
        (
            {"schedulingOptions": {"podTemplateAdditions": {"containers": {}}}},
            "spec.schedulingOptions.podTemplateAdditions.containers: Invalid value",
        ),
        (
            {"schedulingOptions": {"containerTemplateAdditions": {"nats": {"imagePullPolicy": "always"}}}},
            "should match '^(Always|IfNotPresent|Never)$'",
        ),
        (
            {"schedulingOptions": {"containerTemplateAdditions": {"nats": {"resources": {"limits": {"cpu": "much"}}}}}},
            "spec.schedulingOptions.containerTemplateAdditions.nats.resources.limits.cpu: Invalid value",
        ),
    ],
)
async def test_a_bad_host_config_is_refused_with_words_that_help(admin, crds, namespace, changes, message):
    assert message in await refusal(admin, with_spec(HOSTS, **changes), namespace)


async def test_a_bad_name_of_a_host_config_is_refused_at_its_path(admin, crds, namespace):
    said = await refusal(admin, with_place(HOSTS, ("metadata", "name"), "1abc"), namespace)
    assert "metadata.name: Invalid value: metadata.name must be usable as the name of a Service" in said


COMPONENT = ("spec", "components", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("metadata", "name"), "my.app", "metadata.name: Invalid value: must have no dots"),
        ((*COMPONENT, "type"), "provider", 'supported values: "component", "actor", "capability"'),
        ((*COMPONENT, "properties"), {}, "give exactly one of image and application"),
        (
            (*COMPONENT, "properties", "application"),
            {"name": "a", "component": "b"},
            "spec.components[0].properties: Invalid value: give exactly one of image and application",
        ),
        (
            (*COMPONENT, "properties", "config", 0, "properties", "port"),
            8080,
            'spec.components[0].properties.config[0].properties.port: Invalid value: "integer"',
        ),
        ((*COMPONENT, "properties", "config", 0), {}, "spec.components[0].properties.config[0].name: Required value"),
        ((*COMPONENT, "traits", 0), {"type": "link"}, "spec.components[0].traits[0].properties: Required value"),
        (("spec", "components"), "web", "spec.components: Invalid value"),
        (("spec",), {}, "spec.components: Required value"),
        (("spec", "policies", 0, "properties", "n"), 1, 'spec.policies[0].properties.n: Invalid value: "integer"'),
    ],
)
async def test_a_bad_application_is_refused_with_words_that_help(admin, crds, namespace, path, value, message):
    assert message in await refusal(admin, with_place(HELLO, path, value), namespace)
