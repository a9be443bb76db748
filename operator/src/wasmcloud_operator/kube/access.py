"""What the cluster offers and what we may do there: server version, served kinds, permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from wasmcloud_operator.kube.client import Client
from wasmcloud_operator.kube.errors import GarbledAnswer, NotFound
from wasmcloud_operator.kube.jsontypes import JsonObject
from wasmcloud_operator.kube.resources import SELF_SUBJECT_ACCESS_REVIEW, Resource

S = TypeVar("S", bound=msgspec.Struct)

_CONCURRENT_REVIEWS = 16


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """The API server's version; `text` is what it says of itself (`v1.35.4`)."""

    major: int
    minor: int
    text: str


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb on a kind (or its subresource), in one namespace or, if empty, in all."""

    verb: str
    resource: Resource
    subresource: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        plural = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        name = f"{plural}.{self.resource.group}" if self.resource.group else plural
        return f"{self.verb} {name}" + (f" in namespace {self.namespace}" if self.namespace else "")


class _Version(msgspec.Struct, frozen=True):
    major: str
    minor: str
    text: str = msgspec.field(name="gitVersion", default="")


class _ServedKind(msgspec.Struct, frozen=True):
    name: str


class _ServedKinds(msgspec.Struct, frozen=True):
    resources: list[_ServedKind] | None


class _ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool


class _Review(msgspec.Struct, frozen=True):
    status: _ReviewStatus


async def server_version(client: Client) -> ServerVersion:
    """The version of the API server. Some builds say `29+` for the minor version."""
    try:
        answer = _as(_Version, await client.get_path("/version"))
    except GarbledAnswer:
        raise GarbledAnswer(f"GET /version: what answers at {client.host} is no Kubernetes API server") from None
    return ServerVersion(_digits(answer.major), _digits(answer.minor), answer.text)


def _digits(text: str) -> int:
    return int("".join(character for character in text if character in "0123456789")[:9] or 0)


async def serves(client: Client, resource: Resource) -> bool:
    """Whether the API server serves this kind, by discovery (which every authenticated user may read)."""
    try:
        answer = _as(_ServedKinds, await client.get_path(resource.group_path))
    except NotFound:
        return False
    return any(entry.name == resource.plural for entry in answer.resources or ())


def _as(shape: type[S], answer: JsonObject) -> S:
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        raise GarbledAnswer(f"an answer of another shape: {error}") from error


async def missing_permissions(client: Client, needed: Iterable[Permission]) -> list[Permission]:
    """Those of the permissions that the API server would refuse us now (SelfSubjectAccessReview).

    Raises the errors of `kube.errors`.
    """
    limit = asyncio.Semaphore(_CONCURRENT_REVIEWS)
    wanted = list(needed)

    async def allowed(permission: Permission) -> bool:
        body = {
            "apiVersion": SELF_SUBJECT_ACCESS_REVIEW.api_version,
            "kind": SELF_SUBJECT_ACCESS_REVIEW.kind,
            "spec": {
                "resourceAttributes": {
                    "verb": permission.verb,
                    "group": permission.resource.group,
                    "resource": permission.resource.plural,
                    "subresource": permission.subresource,
                    "namespace": permission.namespace,
                }
            },
        }
        async with limit:
            answer = await client.create(SELF_SUBJECT_ACCESS_REVIEW, body)
        return _as(_Review, answer.body).status.allowed

    try:
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(allowed(permission)) for permission in wanted]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the first; the others were cancelled or say the same
    return [permission for permission, answer in zip(wanted, answers, strict=True) if not answer.result()]
