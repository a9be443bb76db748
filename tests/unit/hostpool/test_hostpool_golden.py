"""The pod of a config without additions, to the byte: whatever changes it restarts every host of every user."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.objects.hostpools import SAMPLE, rendered

GOLDEN = Path(__file__).with_name("golden-pod.yaml")


def test_the_pod_of_the_sample_is_the_one_that_runs_at_our_users():
    """Where the change is meant, write the file anew, and say in CHANGELOG.md that hosts restart."""
    template = rendered(SAMPLE, name="my-wasmcloud-cluster", namespace="default").template
    assert template == yaml.safe_load(GOLDEN.read_text())
