"""The wasmCloud operator's custom resources: models, parsing with errors by JSON path, and their CRDs."""

from __future__ import annotations

from importlib.metadata import version

from wasmcloud_operator_types.application import (
    Application,
    ApplicationStatus,
    Phase,
    ScalerStatus,
    ServiceStatus,
    WadmStatus,
)
from wasmcloud_operator_types.certificates import (
    CertificateAuthority,
    Certificates,
    ConfigMapVolume,
    KeyToPath,
    SecretVolume,
)
from wasmcloud_operator_types.crd import custom_resource_definitions
from wasmcloud_operator_types.defaults import effective
from wasmcloud_operator_types.hostconfig import (
    POD_NAME_LABEL,
    POD_UID_LABEL,
    WasmCloudHostConfig,
    WasmCloudHostConfigSpec,
)
from wasmcloud_operator_types.hostoptions import LeafService, NatsTls, Observability, PolicyService, Probes, Telemetry
from wasmcloud_operator_types.hoststatus import AppStatus, HostStatus, WasmCloudHostConfigStatus
from wasmcloud_operator_types.jsonschema import json_schema
from wasmcloud_operator_types.lists import ApplicationList, ListMeta, WasmCloudHostConfigList
from wasmcloud_operator_types.manifest import (
    ApplicationSpec,
    Component,
    ComponentProperties,
    ConfigProperty,
    CustomTrait,
    LinkConfig,
    LinkProperties,
    LinkTarget,
    LinkTrait,
    Policy,
    ScalerProperties,
    ScalerTrait,
    SecretProperty,
    SecretSource,
    SharedComponent,
    Spread,
    Trait,
)
from wasmcloud_operator_types.meta import Condition, ConditionStatus, ObjectMeta, OwnerReference
from wasmcloud_operator_types.parsing import FieldError, InvalidObjectError, dump, parse, with_spec
from wasmcloud_operator_types.scheduling import (
    ContainerTemplateAdditions,
    DisruptionBudget,
    KubernetesResources,
    PodMetadata,
    ResourceClaim,
    ResourceRequirements,
    RollingUpdate,
    Rollout,
    SchedulingOptions,
    ServiceAccountOptions,
)

__version__ = version("wasmcloud-operator-types")

__all__ = [
    "POD_NAME_LABEL",
    "POD_UID_LABEL",
    "AppStatus",
    "Application",
    "ApplicationList",
    "ApplicationSpec",
    "ApplicationStatus",
    "CertificateAuthority",
    "Certificates",
    "Component",
    "ComponentProperties",
    "Condition",
    "ConditionStatus",
    "ConfigMapVolume",
    "ConfigProperty",
    "ContainerTemplateAdditions",
    "CustomTrait",
    "DisruptionBudget",
    "FieldError",
    "HostStatus",
    "InvalidObjectError",
    "KeyToPath",
    "KubernetesResources",
    "LeafService",
    "LinkConfig",
    "LinkProperties",
    "LinkTarget",
    "LinkTrait",
    "ListMeta",
    "NatsTls",
    "ObjectMeta",
    "Observability",
    "OwnerReference",
    "Phase",
    "PodMetadata",
    "Policy",
    "PolicyService",
    "Probes",
    "ResourceClaim",
    "ResourceRequirements",
    "RollingUpdate",
    "Rollout",
    "ScalerProperties",
    "ScalerStatus",
    "ScalerTrait",
    "SchedulingOptions",
    "SecretProperty",
    "SecretSource",
    "SecretVolume",
    "ServiceAccountOptions",
    "ServiceStatus",
    "SharedComponent",
    "Spread",
    "Telemetry",
    "Trait",
    "WadmStatus",
    "WasmCloudHostConfig",
    "WasmCloudHostConfigList",
    "WasmCloudHostConfigSpec",
    "WasmCloudHostConfigStatus",
    "custom_resource_definitions",
    "dump",
    "effective",
    "json_schema",
    "parse",
    "with_spec",
]
