"""What `diff` prints of two states of an object."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wasmcloud_operator.commands.diff import Places, UnusableInput, changes, lines_between
from wasmcloud_operator.commands.overview.screens import by_hand
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedTransport


def application(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "team"}, "spec": spec}


def test_changed_fields_are_a_unified_diff() -> None:
    lines = lines_between(application(level="info"), application(level="debug"))
    assert lines[:2] == ("--- live", "+++ applied")
    assert lines[-2:] == ("-  level: info", "+  level: debug")
    assert lines_between(application(level="info"), application(level="info")) == ()


def test_a_change_of_a_secret_alone_is_a_change_that_does_not_show_it() -> None:
    lines = lines_between(application(password="canary"), application(password="other"))
    assert lines == ("~ only what is blacked out changes",)


def test_an_object_that_is_not_there_yet_is_added_whole_without_its_secrets() -> None:
    lines = lines_between(None, application(password="canary"))
    assert "+  name: shop" in lines
    assert "canary" not in "\n".join(lines)


HEAD = "apiVersion: core.oam.dev/v1beta1\nkind: Application\n"
SPEC = "spec: {components: []}\n"


async def compared(path: Path, named: str) -> list[str]:
    """The objects that those in a file are compared with, where the context has the namespace `context`."""
    client = by_hand(Reader(ScriptedTransport(ScriptedApi())))
    return [change.name async for change in changes(client, [str(path)], Places(named, "context"))]


@pytest.mark.parametrize(
    ("written", "named", "place"),
    [
        ("", "", "context"),
        ("", "b", "b"),
        (", namespace: a", "", "a"),
        (", namespace: a", "a", "a"),
        (", namespace: ''", "b", "b"),
    ],
)
def test_an_object_is_compared_in_the_namespace_that_it_or_the_user_names(
    tmp_path: Path, written: str, named: str, place: str
) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(f"{HEAD}metadata: {{name: shop{written}}}\n{SPEC}")
    assert asyncio.run(compared(path, named)) == [f"Application {place}/shop"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            f"{HEAD}metadata: {{name: one}}\n{SPEC}---\n{HEAD}metadata:\n  name: shop\n  namespace: a\n{SPEC}",
            ":10: Application shop: metadata.namespace is a, and -n names b, which kubectl refuses: leave out one",
        ),
        (
            f"{HEAD}metadata: {{name: shop, namespace: 5}}\n{SPEC}",
            ":3: Application shop: metadata.namespace is no name",
        ),
        (f"{HEAD}metadata: {{name: ''}}\n{SPEC}", ":3: Application has no metadata.name: run check on it"),
        (f"{HEAD}metadata: text\n{SPEC}", ":3: Application has no metadata.name: run check on it"),
    ],
)
def test_an_object_of_another_namespace_or_of_no_name_is_refused_before_anything_is_compared(
    tmp_path: Path, text: str, found: str
) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(text)
    with pytest.raises(UnusableInput) as refused:
        asyncio.run(compared(path, "b"))
    assert str(refused.value).startswith(f"{path}{found}")


def test_a_patch_of_a_kustomization_is_compared_with_nothing(tmp_path: Path) -> None:
    (tmp_path / "patch.yaml").write_text(f"{HEAD}metadata: {{name: shop}}\n{SPEC}")
    assert asyncio.run(compared(tmp_path, "")) == ["Application context/shop"]
    (tmp_path / "kustomization.yaml").write_text("patches: [{path: patch.yaml}]\n")
    assert asyncio.run(compared(tmp_path, "")) == []
