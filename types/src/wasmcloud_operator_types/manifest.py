"""The OAM manifest as wadm 0.12–0.21 takes it.

Names are wadm's own (``source_config``), not camelCase. Unknown fields are kept and passed on: which of them wadm
refuses is for validation to say, and a newer wadm may know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, StrictInt, Tag, WithJsonSchema

from wasmcloud_operator_types._base import Model
from wasmcloud_operator_types._fields import Items, Rule, cel

ComponentType = Literal["component", "actor", "capability"]


class OamModel(Model):
    """A frozen model of a part of the manifest: names as they are written, unknown fields kept."""

    model_config = ConfigDict(alias_generator=None, extra="allow")


class ConfigProperty(OamModel):
    """A named configuration: defined here by its properties, or an existing one when it has none."""

    name: str
    """Name of the configuration in the lattice."""

    properties: dict[str, str] | None = None
    """Keys and values. Values are strings: quote numbers. Left out, the configuration must already exist."""


class SecretSource(OamModel):
    """Where a secret's value comes from."""

    policy: str
    """Name of the policy of type policy.secret.wasmcloud.dev/v1alpha1 that names the secrets backend."""

    key: str
    """Key of the secret in the backend."""

    field: str | None = None
    """One field of the secret, where the backend keeps several under a key."""

    version: str | None = None
    """Version of the secret; the latest when left out."""


class SecretProperty(OamModel):
    """A named reference to a secret in a secrets backend. The value itself is never part of the manifest."""

    name: str
    """Name by which the component or provider asks for the secret."""

    properties: SecretSource
    """Where the value comes from."""


class SharedComponent(OamModel):
    """A component that another, shared application runs."""

    name: str
    """Name of the shared application."""

    component: str
    """Name of the component in that application."""


class ComponentProperties(OamModel):
    """What to run: an image, or a component of a shared application, with its configuration and secrets."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule("has(self.image) != has(self.application)", "give exactly one of image and application")
        )
    )

    image: str | None = None
    """OCI reference or file of the component or provider."""

    application: SharedComponent | None = None
    """A component of a shared application, instead of an image."""

    id: str | None = None
    """Identifier, unique in the lattice; made from the application's and the component's name when left out."""

    config: Items[ConfigProperty] | None = None
    """Named configurations, merged in order: later ones win."""

    secrets: Items[SecretProperty] | None = None
    """Secrets that it may ask for."""


class LinkConfig(OamModel):
    """Configuration and secrets for one side of a link."""

    config: Items[ConfigProperty] | None = None
    """Named configurations, merged in order: later ones win."""

    secrets: Items[SecretProperty] | None = None
    """Secrets for this side of the link."""


class LinkTarget(LinkConfig):
    """The component that a link leads to, with the configuration and secrets for its side."""

    name: str
    """Name of a component of this manifest."""


class LinkProperties(OamModel):
    """Properties of a trait of type link."""

    namespace: str
    """WIT namespace, for example wasi."""

    package: str
    """WIT package, for example http."""

    interfaces: Items[str]
    """WIT interfaces, for example incoming-handler."""

    target: LinkTarget | str
    """The component the link leads to; as a plain name it is deprecated."""

    source: LinkConfig | None = None
    """Configuration and secrets for the component that has this trait."""

    name: str | None = None
    """Name of the link; default when left out."""

    source_config: Items[ConfigProperty] | None = None
    """Deprecated form of source.config, which wins over it."""

    target_config: Items[ConfigProperty] | None = None
    """Deprecated form of target.config; read only where target is a plain name."""

    @property
    def target_name(self) -> str:
        """The name of the component that the link leads to, whichever form it was written in."""
        return self.target if isinstance(self.target, str) else self.target.name

    @property
    def effective_source_config(self) -> Items[ConfigProperty]:
        """The source's configurations as wadm reads them: ``source`` wins over ``source_config``."""
        return (self.source.config if self.source is not None else self.source_config) or ()

    @property
    def effective_target_config(self) -> Items[ConfigProperty]:
        """The target's configurations as wadm reads them: ``target_config`` counts only beside a plain name."""
        return (self.target_config if isinstance(self.target, str) else self.target.config) or ()


class Spread(OamModel):
    """A share of the instances, on hosts that carry all of the labels required."""

    name: str
    """Name of this share, unique in the trait."""

    requirements: dict[str, str]
    """Labels that a host must have."""

    weight: Annotated[StrictInt, Field(ge=0)] | None = None
    """Share of the instances relative to the other entries; 100 when left out."""


class ScalerProperties(OamModel):
    """Properties of a trait of type spreadscaler or daemonscaler."""

    instances: Annotated[StrictInt, Field(ge=0)] | None = None
    """How many instances: in all for a spreadscaler, on each matching host for a daemonscaler."""

    replicas: Annotated[StrictInt, Field(ge=0)] | None = None
    """Older name of instances."""

    spread: Items[Spread] | None = None
    """How the instances are spread over the hosts; over any hosts when left out."""

    @property
    def count(self) -> int | None:
        """The number of instances, whichever name it was written under."""
        return self.instances if self.instances is not None else self.replicas


class LinkTrait(OamModel):
    """A link from the component that carries it to another one."""

    type: Literal["link"]
    properties: LinkProperties


class ScalerTrait(OamModel):
    """How many instances of the component run, and where."""

    type: Literal["spreadscaler", "daemonscaler"]
    properties: ScalerProperties


class CustomTrait(OamModel):
    """A trait of a type not known here: kept and passed on as it is."""

    type: str
    properties: JsonValue


_BUILT_IN_TRAITS: Mapping[str, str] = {"link": "link", "spreadscaler": "scaler", "daemonscaler": "scaler"}


def _trait_kind(value: object) -> str:
    declared = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return _BUILT_IN_TRAITS.get(declared, "custom") if isinstance(declared, str) else "custom"


def _described(*models: type[BaseModel]) -> dict[str, Any]:
    """Properties that accept anything, with the models' descriptions: a custom trait may give any name its own type."""
    return {
        name: {"description": field.description or ""} for model in models for name, field in model.model_fields.items()
    }


_TRAIT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A trait of the component: spreadscaler, daemonscaler, link, or one that wadm does not know yet.",
    "additionalProperties": True,
    "required": ["type", "properties"],
    "properties": {
        "type": {
            "type": "string",
            "description": "What the trait does: spreadscaler, daemonscaler, link; others are passed on as they are.",
        },
        "properties": {
            "type": "object",
            "additionalProperties": True,
            "description": "The trait's settings: instances and spread of a scaler, the other fields of a link.",
            "properties": _described(ScalerProperties, LinkProperties),
        },
    },
}

Trait = Annotated[
    Annotated[LinkTrait, Tag("link")] | Annotated[ScalerTrait, Tag("scaler")] | Annotated[CustomTrait, Tag("custom")],
    Discriminator(_trait_kind),
    WithJsonSchema(_TRAIT_SCHEMA),
]


class Component(OamModel):
    """A WebAssembly component or a capability provider."""

    name: str
    """Name, unique in the application."""

    type: ComponentType
    """A WebAssembly component or a capability provider; actor is the older name of component."""

    properties: ComponentProperties
    """What to run."""

    traits: Items[Trait] | None = None
    """How many instances run where, and what the component is linked to."""

    @property
    def is_capability(self) -> bool:
        """True for a capability provider, False for a WebAssembly component."""
        return self.type == "capability"

    @property
    def links(self) -> tuple[LinkProperties, ...]:
        """The links that start at this component, in the order written."""
        return tuple(trait.properties for trait in self.traits or () if isinstance(trait, LinkTrait))

    @property
    def scalers(self) -> tuple[ScalerTrait, ...]:
        """The spreadscalers and daemonscalers of this component, in the order written."""
        return tuple(trait for trait in self.traits or () if isinstance(trait, ScalerTrait))


class Policy(OamModel):
    """A setting for the whole application, for example which secrets backend to use."""

    name: str
    """Name by which components refer to the policy."""

    type: str
    """Kind of policy, for example policy.secret.wasmcloud.dev/v1alpha1."""

    properties: dict[str, str]
    """Settings of the policy. Values are strings: put numbers in quotes."""


class ApplicationSpec(OamModel):
    """What the application consists of: the manifest that `wash app deploy` takes."""

    components: Items[Component]
    """The components and capability providers of the application."""

    policies: Items[Policy] | None = None
    """Settings for the whole application."""
