"""Objects of both kinds in YAML files and out of them. This module needs PyYAML: `wasmcloud-operator-types[yaml]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from wasmcloud_operator_types.application import Application
from wasmcloud_operator_types.hostconfig import WasmCloudHostConfig
from wasmcloud_operator_types.parsing import FieldError, InvalidObjectError, dump, parse
from wasmcloud_operator_types.yamlscalars import TAG, means_itself
from wasmcloud_operator_types.yamltext import DocumentFault, read

_MODELS: tuple[type[WasmCloudHostConfig | Application], ...] = (WasmCloudHostConfig, Application)


class Dumper(yaml.SafeDumper):
    """Writes equal objects out each time: aliases are legal YAML that several tools do not read.

    What kubectl would not take for a text stands in quotes, also where YAML's own newer rules would not ask for them.
    """

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"{TAG}str", text, style=None if means_itself(text) else "'")


Dumper.add_representer(str, _text)


def read_documents(text: str) -> Iterator[WasmCloudHostConfig | Application]:
    """The host configs and Applications of a YAML text, one after the other; objects of other kinds are passed over.

    Values are read as kubectl reads them. Raises InvalidObjectError for an object that its model does not take, its
    paths beginning with the number of the document (empty ones do not count), and for a text that is no YAML or has a
    key twice; that error has the place without the text itself, which may hold secrets.
    """
    for number, found in enumerate(read(text)):
        if isinstance(found, DocumentFault):
            where = f"at line {found.place.line}, column {found.place.column}"
            raise InvalidObjectError("YAML text", [FieldError("", f"is no YAML {where}")])
        document = found.value
        if not isinstance(document, dict):
            continue
        kind = document.get("apiVersion"), document.get("kind")
        model = next((model for model in _MODELS if (f"{model.GROUP}/{model.VERSION}", model.KIND) == kind), None)
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
