"""Every status that the reconciler can write, under the eyes of kstatus and of Argo CD."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from support.kube.kstatus import argocd_health, kstatus
from wasmcloud_operator.application import status
from wasmcloud_operator.application.lattice_choice import NotChosen
from wasmcloud_operator.application.status import Verdict
from wasmcloud_operator.application.writer import PAUSED, own_status
from wasmcloud_operator.kube.conditions import to_status
from wasmcloud_operator.lattice.content import Owner
from wasmcloud_operator.lattice.deploying import Deploying
from wasmcloud_operator.lattice.ledger import Entry
from wasmcloud_operator.lattice.ledger_writer import Step
from wasmcloud_operator.lattice.wadm_types import AppStatus
from wasmcloud_operator.manifest.reading import ManifestProblem
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator_types import Application, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(word: str = "", *, deploying: bool = False, message: str = "") -> Entry:
    shown = AppStatus.model_validate({"status": {"type": word, "message": message}}) if word else None
    return Entry(
        deployed="v1",
        newest="v1",
        versions=("v1",),
        status=shown,
        deploying=Deploying(1.0, None, distinct=True) if deploying else None,
    )


KEPT = {
    "no host config": status.no_lattice(NotChosen(Reason.NO_HOST_CONFIG, "none there")),
    "connection lost": status.out_of_reach("ConnectionRefused", "nobody listens"),
    "wadm gone": status.out_of_reach("WadmUnavailable", "wadm does not listen"),
    "our own failure": status.failing("Conflict: try again"),
}
DECIDED: dict[str, tuple[Verdict, str]] = {
    "invalid": (status.invalid([ManifestProblem("error", "spec", "is required")]), "Failed"),
    "ambiguous": (status.no_lattice(NotChosen(Reason.AMBIGUOUS_LATTICE, "choose", stalled=True)), "Failed"),
    "conflict": (status.conflict(Owner("c", "ns", "app"), "default"), "Failed"),
    "put rejected": (status.rejected(Step.PUT, "too large"), "Failed"),
    "deploy rejected": (status.rejected(Step.DEPLOY, "id in use"), "Failed"),
    "undeployed": (status.undeployed(), "Undeployed"),
    "deploying": (status.running(record(deploying=True)), "Reconciling"),
    "no status yet": (status.running(record()), "Reconciling"),
    "deploying over what was deployed": (status.running(record("deployed", deploying=True)), "Reconciling"),
    **{
        f"wadm says {word}": (status.running(record(word)), phase)
        for word, phase in (
            ("deployed", "Deployed"),
            ("ready", "Deployed"),
            ("reconciling", "Reconciling"),
            ("compensating", "Reconciling"),
            ("waiting", "Reconciling"),
            ("undeployed", "Reconciling"),
            ("brand-new", "Reconciling"),
            ("failed", "Failed"),
            ("unhealthy", "Failed"),
        )
    },
}
KSTATUS = {"Deployed": "Current", "Undeployed": "Current", "Reconciling": "InProgress", "Failed": "Failed"}
ARGOCD = {"Deployed": "Healthy", "Undeployed": "Suspended", "Reconciling": "Progressing", "Failed": "Degraded"}


def written(verdict: Verdict, phase: str, generation: int = 3) -> dict[str, Any]:
    body = {
        "observedGeneration": generation,
        "phase": phase,
        "message": verdict.message,
        "conditions": to_status(verdict.conditions, None, generation, NOW),
    }
    return {"metadata": {"name": "a", "generation": 3}, "status": body}


@pytest.mark.parametrize("case", DECIDED)
def test_phase_kstatus_and_argocd_agree(case: str) -> None:
    verdict, phase = DECIDED[case]
    assert verdict.phase == phase
    obj = written(verdict, phase)
    assert kstatus(obj) == KSTATUS[phase]
    assert argocd_health(obj) == (ARGOCD[phase], verdict.message)


@pytest.mark.parametrize("case", KEPT)
@pytest.mark.parametrize("phase", KSTATUS)
def test_an_application_out_of_reach_keeps_its_phase_and_is_in_progress(case: str, phase: str) -> None:
    verdict = KEPT[case]
    assert verdict.phase is None
    obj = written(verdict, phase)
    assert kstatus(obj) == "InProgress"
    assert argocd_health(obj)[0] == ARGOCD[phase]
    ready = next(entry for entry in obj["status"]["conditions"] if entry["type"] == "Ready")
    assert ready["status"] == "Unknown"


@pytest.mark.parametrize("verdict", [*KEPT.values(), *(verdict for verdict, _ in DECIDED.values())])
def test_every_status_is_whole_and_of_the_models_shape(verdict: Verdict) -> None:
    body = written(verdict, verdict.phase or "Reconciling")
    types = [entry["type"] for entry in body["status"]["conditions"]]
    assert {"Ready", "Reconciling", "Stalled", "Synced"} <= set(types)
    assert len(types) == len(set(types))
    assert verdict.message
    assert "\n" not in verdict.message
    manifest = {"spec": {"components": []}, **body}
    app = parse(Application, manifest)
    assert app.status is not None
    assert app.status.phase == (verdict.phase or "Reconciling")
    for entry in body["status"]["conditions"]:
        assert entry["reason"][0].isupper()


@pytest.mark.parametrize("phase", ARGOCD)
def test_a_status_of_an_earlier_generation_counts_for_nothing(phase: str) -> None:
    obj = written(DECIDED["wadm says deployed"][0], phase, generation=2)
    assert kstatus(obj) == "InProgress"
    assert argocd_health(obj)[0] == "Progressing"


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("phase", ARGOCD)
def test_a_paused_application_is_suspended_for_argocd_whether_its_spec_is_followed_or_not(
    phase: str, generation: int
) -> None:
    obj = written(DECIDED["wadm says deployed"][0], phase, generation)
    obj["status"]["conditions"] += to_status((PAUSED,), None, generation, NOW)
    assert argocd_health(obj) == ("Suspended", PAUSED.message)


@pytest.mark.parametrize("shown", [{}, {"status": {}}, {"status": {"observedGeneration": -1}}])
def test_an_application_that_was_never_seen_is_in_progress_for_argocd(shown: dict[str, Any]) -> None:
    assert argocd_health({"metadata": {"generation": 1}, **shown})[0] == "Progressing"


def test_an_object_that_goes_is_terminating() -> None:
    obj = written(*DECIDED["wadm says deployed"])
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kstatus(obj) == "Terminating"


def test_a_thousand_problems_and_scalers_stay_small() -> None:
    verdict = status.invalid(
        [ManifestProblem("error", f"spec.components[{number}]", "x" * 500) for number in range(1000)]
    )
    assert len(verdict.message) <= 4096
    scalers = [
        {
            "id": str(number),
            "kind": "SpreadScaler",
            "name": f"s{number}",
            "status": {"type": "failed", "message": "y" * 1000},
        }
        for number in range(500)
    ]
    shown = status.fields(
        Entry(
            deployed="v1",
            newest="v1",
            status=AppStatus.model_validate({"status": {"type": "failed"}, "scalers": scalers}),
        )
    )
    assert len(shown["scalers"]) == 500
    assert max(len(entry["message"]) for entry in shown["scalers"]) == 256


def test_problems_are_shown_with_their_paths() -> None:
    verdict = status.invalid([ManifestProblem("error", f"spec.components[{n}].name", "is taken") for n in range(25)])
    assert verdict.message.startswith("spec.components[0].name: is taken; spec.components[1].name: is taken")
    assert verdict.message.endswith("and 5 more")


def test_others_part_of_the_status_is_not_ours() -> None:
    ours = {"type": "Ready", "status": "True"}
    shown = {"phase": "Deployed", "services": [{}], "conditions": [{"type": "Exposed", "status": "True"}, ours]}
    assert own_status(shown) == {"phase": "Deployed", "conditions": [ours]}


def test_a_wadm_that_does_nothing_is_not_taken_for_one_without_hosts() -> None:
    waiting = record("waiting")
    assert status.running(waiting).message == "version v1 waits for hosts"
    shown = status.running(replace(waiting, repeats=2)).message
    assert shown.startswith("wadm does nothing about version v1, deployed 3 times")
