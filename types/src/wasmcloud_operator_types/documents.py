"""Objects of both kinds in YAML files and out of them. This module needs PyYAML: `wasmcloud-operator-types[yaml]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from wasmcloud_operator_types.application import Application
from wasmcloud_operator_types.hostconfig import WasmCloudHostConfig
from wasmcloud_operator_types.parsing import FieldError, InvalidObjectError, dump, parse

_MODELS: dict[tuple[object, object], type[WasmCloudHostConfig | Application]] = {
    (f"{model.GROUP}/{model.VERSION}", model.KIND): model for model in (WasmCloudHostConfig, Application)
}


class _Loader(yaml.SafeLoader):
    """Reads what JSON can hold: a date is a text, as kubectl reads it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Dumper(yaml.SafeDumper):
    """Writes equal objects out each time: aliases are legal YAML that several tools do not read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def read_documents(text: str) -> Iterator[WasmCloudHostConfig | Application]:
    """The host configs and Applications of a YAML text, one after the other; objects of other kinds are passed over.

    Raises InvalidObjectError, its paths beginning with the number of the document, for an object that its model does
    not take, and for a text that is no YAML.
    """
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise InvalidObjectError("YAML text", [FieldError("", _place(error))]) from None
    for number, document in enumerate(documents):
        if not isinstance(document, dict):
            continue
        model = _MODELS.get((document.get("apiVersion"), document.get("kind")))
        if model is None:
            continue
        try:
            yield parse(model, document)
        except InvalidObjectError as error:
            faults = [FieldError(f"[{number}].{fault.path}", fault.message) for fault in error.errors]
            raise InvalidObjectError(error.kind, faults) from None


def write_documents(objects: Iterable[WasmCloudHostConfig | Application]) -> str:
    """The objects as YAML documents, with exactly the fields that were written or set."""
    return yaml.dump_all(
        [dump(each) for each in objects], Dumper=Dumper, sort_keys=False, allow_unicode=True, explicit_start=True
    )


def _place(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the text itself: it may hold secrets."""
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"is no YAML{where}"
