"""Which hosts understand which feature, by the version of their image."""

from __future__ import annotations

import pytest

from wasmcloud_operator.hostpool import versions
from wasmcloud_operator.hostpool.versions import Feature


@pytest.mark.parametrize(
    ("version", "feature", "understood"),
    [
        ("1.4.9", Feature.HTTP_ADMIN, False),
        ("1.5.0", Feature.HTTP_ADMIN, True),
        ("v1.5", Feature.HTTP_ADMIN, True),
        ("1.10.0", Feature.HTTP_ADMIN, True),
        ("1", Feature.OBSERVABILITY, True),
        ("1", Feature.OBSERVABILITY_PROTOCOL, False),
        ("2", Feature.HTTP_ADMIN, True),
        ("0.80.2", Feature.SHORT_REGISTRY_NAMES, True),
        ("0.81.0", Feature.SHORT_REGISTRY_NAMES, False),
        ("0.81", Feature.CLUSTER_SEED, True),
        ("1.0.0", Feature.CLUSTER_SEED, False),
        ("0.82.0", Feature.OBSERVABILITY, False),
    ],
)
def test_a_feature_is_understood_from_its_first_version_on_until_the_one_that_dropped_it(
    version: str, feature: Feature, understood: bool
) -> None:
    assert versions.understands(version, feature) is understood


@pytest.mark.parametrize("version", ["latest", "canary", "", "vNext", "04f9c2d", "7f3a2b1", "0a"])
def test_a_version_without_a_number_counts_as_the_newest(version: str) -> None:
    assert not versions.is_known(version)
    assert versions.understands(version, Feature.HTTP_ADMIN)
    assert not versions.understands(version, Feature.CLUSTER_SEED)


@pytest.mark.parametrize(
    "version", ["1.4.0", "v0.82", "1", "1.5.0-rc.1", "1.5.0+build", f"1.5.0@sha256:{'0' * 64}", "1-alpine"]
)
def test_a_version_with_a_number_is_known(version: str) -> None:
    assert versions.is_known(version)


def test_users_read_the_first_version_of_a_feature() -> None:
    assert versions.since(Feature.MAX_LINEAR_MEMORY) == "1.2"
