"""Types of fields that several models have, and CEL rules: what the API server checks beside the schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, TypeVar

from pydantic import Field, StrictInt

T = TypeVar("T")

if TYPE_CHECKING:
    Items: TypeAlias = Sequence[T]
else:

    class Items:
        """A list of a model: type checkers take any sequence, as pydantic does; what the model holds is a tuple."""

        def __class_getitem__(cls, item: object) -> object:
            return tuple[item, ...]


NO_CONTROL = r"^[^\x00-\x20\x7f]+$"
# A NATS subject or its first part: tokens between dots, no wildcards, no blanks. (Engines differ in what \s is.)
SUBJECT_PART = r"^[^.*>\x00-\x20\x7f]+$"
SUBJECT = r"^[^.*>\x00-\x20\x7f]+(\.[^.*>\x00-\x20\x7f]+)*$"
_DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

Port = Annotated[StrictInt, Field(ge=1, le=65535, json_schema_extra={"format": "int32"})]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=_DNS_NAME)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=NO_CONTROL)]
Subject = Annotated[str, Field(min_length=1, max_length=256, pattern=SUBJECT)]
# A URL, or the empty string for none, as templates write it.
Endpoint = Annotated[str, Field(max_length=2048, pattern=r"^[^\x00-\x20\x7f]*$")]


# As the API server reads a quantity, but for a sign.
QUANTITY = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
Quantity = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)] | Annotated[str, Field(pattern=QUANTITY)]
PERCENT = r"^[0-9]{1,9}%$"
UP_TO_100_PERCENT = r"^(100|[1-9]?[0-9])%$"


class Rule(NamedTuple):
    """A CEL expression that must be true, the message when it is not, and the field if not the model itself."""

    rule: str
    message: str
    field_path: str = ""


def cel(*rules: Rule) -> dict[str, Any]:
    """The rules as a part of a model's schema."""
    return {
        "x-kubernetes-validations": [
            {
                "rule": rule.rule,
                "message": rule.message,
                **({"fieldPath": rule.field_path} if rule.field_path else {}),
            }
            for rule in rules
        ]
    }
