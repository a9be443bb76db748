"""YAML files with host configs and Applications, read and written."""

from __future__ import annotations

from pathlib import Path

import pytest

from wasmcloud_operator_types import Application, InvalidObjectError, WasmCloudHostConfig, dump, with_spec
from wasmcloud_operator_types.documents import read_documents, write_documents

EXAMPLES = Path(__file__).parents[3] / "manifests/examples"
POOL = """
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: WasmCloudHostConfig
metadata: {name: a, annotations: {made: 2026-01-31, "on": "yes"}}
spec: {lattice: l, version: "1.0"}
"""


def test_every_example_is_read_and_written_back():
    texts = [file.read_text() for file in sorted(EXAMPLES.rglob("*.yaml"))]
    found = [each for text in texts for each in read_documents(text)]
    assert {type(each) for each in found} == {WasmCloudHostConfig, Application}
    assert list(read_documents(write_documents(found))) == found
    assert [dump(each) for each in read_documents(write_documents(found))] == [dump(each) for each in found]


def test_objects_of_other_kinds_and_empty_documents_are_passed_over():
    text = f"---\n---\napiVersion: v1\nkind: Secret\n---{POOL}---\n# nothing\n"
    (pool,) = read_documents(text)
    assert pool.metadata.annotations == {"made": "2026-01-31", "on": "yes"}


def test_a_fault_is_named_by_document_and_path():
    text = f"{POOL}---{POOL.replace('version: ', 'versoin: ')}"
    with pytest.raises(InvalidObjectError) as raised:
        list(read_documents(text))
    paths = {fault.path for fault in raised.value.errors}
    assert paths == {"[1].spec.version", "[1].spec.versoin"}


@pytest.mark.parametrize("text", ["a: [c4nary", "a: b\n\tc4nary: d", "a: !!python/object:os.system c4nary"])
def test_a_text_that_is_no_yaml_is_an_error_without_its_content(text):
    with pytest.raises(InvalidObjectError, match="is no YAML at line") as raised:
        list(read_documents(text))
    assert "c4nary" not in str(raised.value)


def test_the_same_object_twice_has_no_alias():
    (pool,) = read_documents(POOL)
    assert "*" not in write_documents([pool, pool])


@pytest.mark.parametrize("head", ["apiVersion: [a]\nkind: b", "apiVersion: x\nkind: {a: b}", "- a", "1: 2"])
def test_a_document_without_a_kind_is_passed_over(head):
    assert len(list(read_documents(f"{head}\n---{POOL}"))) == 1


@pytest.mark.parametrize(
    ("label", "read"), [("22:22", "22:22"), ("2026-01-31", "2026-01-31"), ('"on"', "on"), ("!!str 1", "1")]
)
def test_values_are_read_as_kubectl_reads_them(label, read):
    (pool,) = read_documents(
        POOL.replace("annotations: {", f"annotations: {{1: {label}, ").replace("{l", "{hostReplicas: 0o3, l")
    )
    assert (pool.metadata.annotations["1"], pool.spec.host_replicas) == (read, 3)


@pytest.mark.parametrize("label", ["y", "n", "off", "0o17", "1_000", "1e3", "22", "~", ".inf", "", "a", "-1.", "0x1F"])
def test_every_text_is_written_so_that_it_is_read_back(label):
    (pool,) = read_documents(POOL)
    pool = with_spec(pool, {"observability": {"endpoint": label}})
    assert list(read_documents(write_documents([pool]))) == [pool]


def test_a_text_without_an_end_is_refused():
    with pytest.raises(InvalidObjectError, match="is no YAML at line"):
        list(read_documents("[" * 20_000))
    with pytest.raises(InvalidObjectError, match="is no YAML at line"):
        list(read_documents("a: &a [*a]"))


def test_a_key_that_is_there_twice_is_an_error_at_its_place():
    with pytest.raises(InvalidObjectError, match="at line 6, column 1"):
        list(read_documents(f"{POOL}spec: {{}}\n"))
