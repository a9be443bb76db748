"""Objects as no one should send them, and what a codec has to make of each: shared by the unit and the chaos tests."""

from __future__ import annotations

import copy
import json

import yaml
from hypothesis import strategies as st

from wasmcloud_operator.kube.codec import UNSTRUCTURED, Codec, Deleted, Identity, Put, Unreadable
from wasmcloud_operator.kube.objects import CustomResource, Metadata, Pod
from wasmcloud_operator.kube.resources import Key

CODECS: tuple[Codec, ...] = (Codec.of(CustomResource), UNSTRUCTURED, Codec.of(Pod), Codec.of(Metadata))
GOOD = b'{"metadata": {"name": "good", "namespace": "ns", "uid": "g", "resourceVersion": "3"}, "spec": {"n": 1}}'
IDENTITY = Identity(Key("ns", "bad"), "b", "4")


def _nested(levels: int, opening: str, closing: str, inner: str) -> str:
    return opening * levels + inner + closing * levels


_SCALARS = st.one_of(
    st.sampled_from(
        ["null", "true", "false", '""', "{}", "[]", "NaN", "-Infinity", "1e999", "-0", r'"\ud800"', r'"\udfff\ud800"']
    ),
    st.integers(-(2**200), 2**200).map(str),
    st.integers(1, 5000).map(lambda digits: "9" * digits),
    st.floats().map(json.dumps),
    st.text().map(json.dumps),
    st.text(st.characters(codec="utf-8")).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(['"metadata"', r'"}]\\\""', r'"\u006detadata"', '"{\\"metadata\\":{\\"name\\":\\"victim\\"}}"']),
)
_DEEP = st.tuples(
    st.sampled_from([99, 101, 400, 1_500, 9_900]),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"metadata":', "}]"), ('[[],{"b":0,"a":', "}]")]),
    _SCALARS,
).map(lambda drawn: _nested(drawn[0], *drawn[1], drawn[2]))


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


# Names that are there twice come with `members`, which may repeat.
VALUES = st.recursive(
    _SCALARS | _DEEP,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(st.sampled_from(["a", "metadata", "name", "items", ""]), inner), max_size=4).map(_object)
    ),
    max_leaves=6,
)
_WIDE = st.sampled_from([150_000, 1_000_000]).map(lambda times: '{"a":[' + "[]," * times + "1]}")
_LONG = st.sampled_from(["x", r"\\", r"\"", "é"]).map(lambda text: '{"a":"' + text * 1_000_000 + '"}')
HUGE = st.tuples(_WIDE | _LONG, _DEEP).map(lambda drawn: f"[{drawn[0]},{drawn[1]}]")

_META = ["labels", "annotations", "finalizers", "ownerReferences", "generation", "deletionTimestamp", "managedFields"]
_TOP = ["spec", "status", "extra", "apiVersion", "kind"]


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str] = VALUES) -> bytes:
    """An object that bears `IDENTITY`, with anything anywhere else, before its metadata and after."""
    metadata = [("name", '"bad"'), ("namespace", '"ns"'), ("uid", '"b"'), ("resourceVersion", '"4"')]
    metadata += draw(st.lists(st.tuples(st.sampled_from(_META), values), max_size=2))
    members = [("metadata", _object(draw(st.permutations(metadata))))]
    members += draw(st.lists(st.tuples(st.sampled_from(_TOP), values), min_size=1, max_size=3))
    return _object(draw(st.permutations(members))).encode(errors="surrogatepass")


def check(codec: Codec, text: bytes) -> None:
    """One such object costs itself at most, is named in any case, and what is taken in can be worked with."""
    event = codec.event(b'{"type":"MODIFIED","object":' + text + b"}")
    assert isinstance(event, (Put, Unreadable))
    if isinstance(event, Unreadable):
        assert event.identity == IDENTITY
        assert event.why
    elif len(text) < 100_000:  # YAML of megabytes takes minutes
        workable(event.item)
    assert codec.event(b'{"type":"DELETED","object":' + text + b"}") == Deleted(IDENTITY)
    page = codec.page(b'{"metadata":{"resourceVersion":"9"},"items":[' + b",".join([GOOD, text, GOOD]) + b"]}")
    names = [item.metadata.name for item in page.items if item.metadata.name != "bad"]
    assert names == ["good", "good"]
    assert len(page.items) + len(page.unreadable) == 3
    assert {left.identity for left in page.unreadable} <= {IDENTITY}


def workable(item: object) -> None:
    """Whatever walks over a cached object by recursion does not run into the interpreter's limit."""
    for name in ("spec", "status", "body"):
        value = getattr(item, name, None)
        if isinstance(value, (dict, list)):
            assert copy.deepcopy(value) == value
            assert len(json.dumps(value)) < 10_000_000
            yaml.safe_dump(value)
