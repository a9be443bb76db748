"""A refusal names the field that its author wrote."""

from __future__ import annotations

import pytest

from support.objects.hostpools import config, rendered
from wasmcloud_operator.hostpool.refusal import origin, refusal
from wasmcloud_operator.kube.errors import Invalid
from wasmcloud_operator.kube.resources import DEPLOYMENT, POD_DISRUPTION_BUDGET
from wasmcloud_operator_types import dump

S = ".spec.schedulingOptions"
POD = "spec.template.spec"
HOST = {"env": [{"name": "MINE", "value": "x"}], "image": "mine"}
ADDED = {"schedulingOptions": {"containerTemplateAdditions": {"wasmcloud": HOST, "nats": {"args": ["x"]}}}}
PODS = {"schedulingOptions": {"podTemplateAdditions": {"tolerations": [{"key": "a"}], "containers": [{"name": "c"}]}}}
SIZED = {"schedulingOptions": {"resources": {"nats": {"limits": {"cpu": "1"}}}}}


@pytest.mark.parametrize(
    ("spec", "path", "expected"),
    [
        (ADDED, f"{POD}.containers[0].env[MINE].name", f"{S}.containerTemplateAdditions.wasmcloud.env[MINE].name"),
        (ADDED, f"{POD}.containers[0].image", f"{S}.containerTemplateAdditions.wasmcloud.image"),
        (ADDED, f"{POD}.initContainers[0].args[0]", f"{S}.containerTemplateAdditions.nats.args[0]"),
        ({}, f"{POD}.containers[0].image", ".spec.image"),
        ({}, f"{POD}.initContainers[0].image", ".spec.natsLeafImage"),
        (SIZED, f"{POD}.initContainers[0].resources.limits[cpu]", f"{S}.resources.nats.limits[cpu]"),
        (PODS, f"{POD}.tolerations[0].operator", f"{S}.podTemplateAdditions.tolerations[0].operator"),
        (PODS, f"{POD}.containers[1].image", f"{S}.podTemplateAdditions.containers[c].image"),
        ({"registryCredentialsSecret": "p"}, f"{POD}.imagePullSecrets[0].name", ".spec.registryCredentialsSecret"),
        ({}, "spec.strategy.rollingUpdate.maxSurge", f"{S}.rollingUpdate.maxSurge"),
        ({}, "spec.template.metadata.labels", ".spec.hostLabels"),
        ({}, "spec.minAvailable", ".spec.podDisruptionBudget.minAvailable"),
        ({}, "metadata.name", "metadata.name"),
        ({}, f"{POD}.volumes[0].name", f"{POD}.volumes[0].name"),
    ],
)
def test_origin(spec, path, expected):
    body = rendered(spec).workload
    if "MINE" in path:
        env = body["spec"]["template"]["spec"]["containers"][0]["env"]
        number = next(at for at, entry in enumerate(env) if entry["name"] == "MINE")
        path = path.replace("[MINE]", f"[{number}]")
    assert origin(path, body, dump(config(spec).spec)) == expected


def test_the_problem_is_named_by_its_first_field():
    error = Invalid(422, "Invalid", "no", causes=((f"{POD}.tolerations[0].operator", "Invalid value"), ("", "and so")))
    problem = refusal(DEPLOYMENT, rendered(PODS).workload, config(PODS), error)
    assert problem.reason == "DeploymentRefused"
    assert problem.path == f"{S}.podTemplateAdditions.tolerations[0].operator"
    assert problem.message == f"Deployment refused by the API server: {problem.path}: Invalid value"


def test_without_fields_the_api_servers_own_words_count():
    problem = refusal(POD_DISRUPTION_BUDGET, {}, config({}), Invalid(403, "Forbidden", "exceeded quota: q"))
    assert (problem.reason, problem.path) == ("PodDisruptionBudgetRefused", "")
    assert "exceeded quota: q" in problem.message
