"""The workflows by actionlint, and what a release must have."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import yaml

from testbed.cache import ensure

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((WORKFLOWS / f"{name}.yaml").read_text()))


async def test_actionlint_finds_nothing_wrong() -> None:
    process = await asyncio.create_subprocess_exec(
        await ensure("actionlint"),
        "-shellcheck=",
        "-pyflakes=",
        *sorted(WORKFLOWS.glob("*.yaml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def test_each_make_target_of_a_workflow_exists_and_ci_runs_it_as_well() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for file in WORKFLOWS.glob("*.yaml") for name in re.findall(r"\bmake ([a-z0-9-]+)", file.read_text())}
    assert named <= targets
    steps = set(re.findall(r"\bmake ([a-z0-9-]+)", (ROOT / ".ci" / "run").read_text()))
    assert steps <= named


def test_every_job_has_no_more_rights_than_it_names() -> None:
    for name in ("test", "release"):
        assert workflow(name)["permissions"] == {"contents": "read"}
    writers = {job for job, body in workflow("release")["jobs"].items() if "write" in body["permissions"].values()}
    assert writers == {"artifacts", "packages", "image", "charts", "notes"}


def test_packages_are_published_without_a_password() -> None:
    job = workflow("release")["jobs"]["packages"]
    assert job["permissions"] == {"id-token": "write"}
    assert job["environment"] == "pypi"
    assert not [step for step in job["steps"] if {"password", "user"} & step.get("with", {}).keys()]


def test_the_image_is_of_both_architectures_with_its_contents_origin_and_signature() -> None:
    steps = workflow("release")["jobs"]["image"]["steps"]
    (built,) = (step["with"] for step in steps if step.get("uses", "").startswith("docker/build-push-action@"))
    assert built["platforms"] == "linux/amd64,linux/arm64"
    assert (built["sbom"], built["provenance"], built["push"]) == (True, "mode=max", True)
    assert "steps.base.outputs.image" in built["build-args"]
    assert "cosign sign" in steps[-1]["run"]
