"""The parts of Kubernetes' own metadata that both custom resources carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from wasmcloud_operator_types._base import Model, StatusModel
from wasmcloud_operator_types._fields import Items

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(StatusModel):
    """One observation about the resource, as ``metav1.Condition`` has it, with the bounds of its schema."""

    type: Annotated[
        str,
        Field(
            max_length=316,
            pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        ),
    ]
    """What is observed, in CamelCase, for example Ready."""

    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""

    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """The metadata.generation that this observation is about."""

    last_transition_time: AwareDatetime
    """When the status last flipped."""

    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, as one CamelCase word that programs can rely on."""

    message: Annotated[str, Field(max_length=32768)]
    """Why, as a sentence for people, with what to do where something can be done."""


Conditions = Annotated[
    tuple[Condition, ...] | None,
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


def find_condition(conditions: Iterable[Condition] | None, type_: str) -> Condition | None:
    """Returns the condition of that type, None if it is not observed yet."""
    return next((condition for condition in conditions or () if condition.type == type_), None)


class OwnerReference(Model):
    """The object that this one belongs to."""

    model_config = ConfigDict(extra="allow")

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    """The metadata of a live or written object. Fields not named here are kept as they are."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    """Name in the namespace; missing only where generateName is used."""

    namespace: str | None = None
    """Namespace; missing in a file that leaves the choice to kubectl."""

    uid: str | None = None
    """Identity over time: a new object of the same name has another one."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    generation: int | None = None
    """Counts the changes of the spec."""

    resource_version: str | None = None
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    """Set while the object waits for its finalizers."""

    finalizers: Items[str] | None = None
    owner_references: Items[OwnerReference] | None = None
