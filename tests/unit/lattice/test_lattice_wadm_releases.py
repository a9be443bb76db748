"""The wadm client makes the same of each release's answers, but for what a release does otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from support.wadm.conversation import RECORDINGS, converse, recorded
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.lattice.wadm import WadmWriter

RELEASES = sorted(
    (file.stem for file in RECORDINGS.glob("*.json")), key=lambda release: [int(part) for part in release.split(".")]
)

USUAL: dict[str, Any] = {
    "list of nothing": [],
    "get of an unknown one": "WadmNotFound",
    "versions of an unknown one": "WadmNotFound",
    "status of an unknown one": "undeployed",
    "deploy of an unknown one": "WadmNotFound",
    "undeploy of an unknown one": "WadmNotFound",
    "delete of an unknown one": False,
    "put": ("v1", 1),
    "put of the same version": "WadmVersionExists",
    "put of another version": "v2",
    "put of what is no manifest": "WadmRejected",
    "put of two components of one name": "WadmRejected",
    "put of a link to a name": "v1",
    "put of a link with a target": "v1",
    "versions": {"v1": False, "v2": False},
    "get": "v2",
    "get of a version": ("x/web:1", {"team": "grüße"}),
    "get of an unknown version": "WadmNotFound",
    "status before a deploy": "undeployed",
    "deploy of an unknown version": "WadmRejected",
    "deploy": None,
    "status": ("deployed", ["deployed"]),
    "list": [("v2", "v1", "deployed")],
    "versions with a deployed one": {"v1": True, "v2": False},
    "deploy of what another one has": "WadmRejected",
    "deploy of another version": None,
    "versions after it": {"v1": False, "v2": True},
    "undeploy": None,
    "undeploy again": None,
    "versions after that": {"v1": False, "v2": False},
    "delete of a version": True,
    "delete of it again": False,
    "versions that are left": {"v2": False},
    "delete of shop": True,
    "delete of rival": True,
    "delete of named": True,
    "delete of linked": True,
    "list of what is left": [],
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "0.12": {
        "status of an unknown one": "WadmNotFound",
        "delete of an unknown one": True,
        "status": ("deployed", []),  # scalers are not named
        "deploy of what another one has": None,  # and both are deployed
    },
    "0.13": {
        "status of an unknown one": "WadmNotFound",
        "delete of an unknown one": True,
        "status": ("deployed", []),
    },
    **{minor: {"delete of an unknown one": True} for minor in ("0.14", "0.15", "0.16", "0.17", "0.18")},
}


@pytest.mark.parametrize("release", RELEASES)
async def test_the_client_makes_the_same_of_each_release(release: str) -> None:
    minor = release.rpartition(".")[0]
    outcomes = await converse(WadmWriter(recorded(release), "default", gate=AlwaysOpen()))
    assert outcomes == USUAL | OTHERWISE.get(minor, {})
