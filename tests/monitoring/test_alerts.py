"""The alerts by Prometheus's own rule tester: each fires in its fault, names its object, and ends with the fault."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from testbed.build import Progress
from testbed.node import needs

Labels = dict[str, str]

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "manifests" / "monitoring" / "alerts.yaml"
RULES = {rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}

# Which target the operator is: its own metrics have these labels, which those of other controllers do not.
TARGET = {"job": "operator", "instance": "one"}
POOL = {"namespace": "team-a", "name": "edge", "lattice": "x"}
# Half an hour of the fault, then an hour without it, a sample a minute.
_FAULT, _AFTER = 30, 60


@dataclass(frozen=True)
class Case:
    """Series by name and labels: the value in the fault and the value after it; None is no sample."""

    series: dict[str, tuple[float | None, float | None]]
    labels: dict[str, str] = field(default_factory=dict)
    counter: bool = False  # the values are what is added a minute


def series(metric: str, /, **labels: str) -> str:
    """A series as PromQL writes it."""
    pairs = (f'{label}="{value}"' for label, value in labels.items())
    return f"{metric}{{{','.join(pairs)}}}"


def pool(metric: str, /, **labels: str) -> str:
    """A series of the one host config, as one of the two replicas shows it."""
    return series(f"wasmcloud_operator_{metric}", **TARGET, **POOL, **labels)


CASES = {
    "WasmcloudLatticeDisconnected": Case({pool("pool_condition", condition="LatticeConnected"): (0, 1)}, POOL),
    "WasmcloudWadmSilent": Case({pool("pool_condition", condition="WadmConnected"): (0, 1)}, POOL),
    "WasmcloudPoolBelowSize": Case(
        {pool("pool_hosts", state="desired"): (3, 3), pool("pool_hosts", state="in_lattice"): (2, 3)}, POOL
    ),
    "WasmcloudApplicationFailed": Case(
        {series("wasmcloud_operator_applications", lattice="x", phase="Failed"): (2, 0)}, {"lattice": "x"}
    ),
    "WasmcloudOperatorQueueGrowing": Case(
        {series("workqueue_depth", **TARGET, name="applications"): (80, 0)}, {**TARGET, "name": "applications"}
    ),
    "WasmcloudOperatorWatchDeaf": Case(
        {series("wasmcloud_operator_informer_live", instance="one", pod="p", resource="pods"): (0, 1)},
        {"instance": "one", "pod": "p", "resource": "pods"},
    ),
    "WasmcloudOperatorLeaderAbsent": Case(
        {series("leader_election_master_status", **TARGET, name="a/lease"): (0, 1)}, {"name": "a/lease"}
    ),
    "WasmcloudOperatorReconcileErrors": Case(
        {series("controller_runtime_reconcile_errors_total", **TARGET, controller="applications"): (60, 0)},
        {"controller": "applications"},
        counter=True,
    ),
    "WasmcloudCredentialsExpireSoon": Case({pool("credentials_expiry_timestamp_seconds"): (86400, 30 * 86400)}, POOL),
    "WasmcloudApplicationsLeftInWadm": Case(
        {series("wasmcloud_operator_left_in_wadm", lattice="x"): (1, 0)}, {"lattice": "x"}
    ),
}


@pytest.fixture(scope="session")
def promtool() -> str:
    needs.install(Progress(), {"promtool": "prometheus"})
    return "promtool"


def passes(*command: str) -> None:
    """Runs promtool, which has to find nothing wrong."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def without_annotations(file: Path) -> Path:
    """The rules less their annotations: promtool would compare the rendered texts word by word."""
    rules = yaml.safe_load(ALERTS.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations")
    file.write_text(yaml.safe_dump(rules))
    return file


def values(case: Case, in_fault: float | None, after: float | None) -> str:
    """The samples in promtool's notation."""
    if case.counter:
        reached = (in_fault or 0) * _FAULT
        return f"0+{in_fault}x{_FAULT} {reached}+{after}x{_AFTER}"
    return " ".join(["_" if value is None else str(value) for value in [in_fault] * _FAULT + [after] * _AFTER])


def test_every_alert_has_a_case_and_a_runbook() -> None:
    assert set(CASES) == set(RULES)
    for name, rule in RULES.items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        assert (ROOT / rule["annotations"]["runbook"]).read_text().startswith("# ")


def judge(folder: Path, promtool: str, samples: dict[str, str], fires: dict[tuple[int, str], list[Labels]]) -> None:
    """Has promtool compare what fires: by minute and alert the labels that it has, besides those of its rule.

    `samples` are in promtool's notation, one a minute; the operator's own target is there throughout.
    """
    samples = {series("wasmcloud_operator_build_info", **TARGET): f"1x{_FAULT + _AFTER}", **samples}
    test = {
        "rule_files": [str(without_annotations(folder / "alerts.yaml"))],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": each} for key, each in samples.items()],
                "alert_rule_test": [
                    {
                        "eval_time": f"{minute}m",
                        "alertname": name,
                        "exp_alerts": [{"exp_labels": labels | RULES[name]["labels"]} for labels in expected],
                    }
                    for (minute, name), expected in fires.items()
                ],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    passes(promtool, "test", "rules", str(file))


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alert_fires_in_its_fault_and_ends_with_it(promtool: str, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    samples = {key: values(case, *pair) for key, pair in case.series.items()}
    judge(tmp_path, promtool, samples, {(29, name): [case.labels], (85, name): []})


def test_metrics_of_other_controllers_raise_no_alert_and_hide_none(promtool: str, tmp_path: Path) -> None:
    """kube-controller-manager, cert-manager, Flux … have metrics of the same names."""
    other = {"job": "kube-controller-manager", "instance": "two"}
    samples = {
        series("workqueue_depth", **other, name="job"): "500x90",
        series("controller_runtime_reconcile_errors_total", **other, controller="certificates"): "0+60x90",
        series("leader_election_master_status", **other, name="kube-controller-manager"): "1x90",
        series("leader_election_master_status", **TARGET, name="a/lease"): "0x30 _x60",
    }
    absent = "WasmcloudOperatorLeaderAbsent"
    quiet = {(29, name): [] for name in ("WasmcloudOperatorQueueGrowing", "WasmcloudOperatorReconcileErrors")}
    judge(tmp_path, promtool, samples, {**quiet, (29, absent): [{"name": "a/lease"}], (60, absent): [{}]})


def test_one_release_without_a_leader_is_seen_beside_another_that_has_one(promtool: str, tmp_path: Path) -> None:
    two = {"job": "operator", "instance": "two"}
    samples = {
        series("wasmcloud_operator_build_info", **two): "1x90",
        series("leader_election_master_status", **TARGET, name="a/lease"): "1x90",
        series("leader_election_master_status", **two, name="b/lease"): "0x90",
    }
    judge(tmp_path, promtool, samples, {(29, "WasmcloudOperatorLeaderAbsent"): [{"name": "b/lease"}]})


def test_a_start_and_a_rolling_update_of_the_operator_raise_no_alert(promtool: str, tmp_path: Path) -> None:
    new = {"job": "operator", "instance": "new"}
    lease, queue = "leader_election_master_status", "workqueue_depth"
    samples = {
        series("wasmcloud_operator_build_info", **new): "_x4 1x80",
        series(lease, **TARGET, name="a/lease"): "1x4 stale",
        series(lease, **new, name="a/lease"): "_x4 0 1x80",
        # Each start puts every object into the queues at once.
        series(queue, **TARGET, name="applications"): "900 0x3 stale",
        series(queue, **new, name="applications"): "_x4 900 300 0x80",
    }
    minutes = (0, 1, 4, 5, 6, 7, 20)
    names = ("WasmcloudOperatorLeaderAbsent", "WasmcloudOperatorQueueGrowing")
    judge(tmp_path, promtool, samples, {(minute, name): [] for minute in minutes for name in names})


def test_the_rules_are_sound_by_prometheuss_own_check(promtool: str) -> None:
    passes(promtool, "check", "rules", str(ALERTS))
