"""What the cluster offers and what we may do there: server version, served kinds, permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.errors import ApiError, GarbledAnswer, NotFound, NotKubernetes
from wasmcloud_operator.kube.gather_first_error import gather_first_error
from wasmcloud_operator.kube.resources import (
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    Key,
    Resource,
)

S = TypeVar("S", bound=msgspec.Struct)

_CONCURRENT_REVIEWS = 16


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """The API server's version; `text` is its own name for it (`v1.35.4`)."""

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


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    verbs: list[str] = []
    api_groups: list[str] = []
    resources: list[str] = []
    resource_names: list[str] = []

    def allows(self, permission: Permission) -> bool:
        """Whether it grants this on objects of any name; `*` stands for all, `*/status` for every kind's status."""
        plural, subresource = permission.resource.plural, permission.subresource
        resources = {"*", f"{plural}/{subresource}", f"*/{subresource}"} if subresource else {"*", plural}
        return (
            not self.resource_names
            and not {"*", permission.verb}.isdisjoint(self.verbs)
            and not {"*", permission.resource.group}.isdisjoint(self.api_groups)
            and not resources.isdisjoint(self.resources)
        )


class _Rules(msgspec.Struct, frozen=True, rename="camel"):
    resource_rules: list[_Rule] = []
    incomplete: bool = False  # an authorizer that cannot list its rules, a webhook say, may allow more


class _RulesReview(msgspec.Struct, frozen=True):
    status: _Rules


async def server_version(client: Reader) -> ServerVersion:
    """Returns the version of the API server; some builds say `29+` for the minor one. Raises NotKubernetes."""
    try:
        answer = _as(_Version, await client.get_path("/version"))
    except ApiError as error:
        if error.code != 404:
            raise
        raise NotKubernetes(f"GET /version: what answers at {client.host} is no Kubernetes API server") from error
    return ServerVersion(_digits(answer.major), _digits(answer.minor), answer.text)


def _digits(text: str) -> int:
    return int("".join(character for character in text if character in "0123456789")[:9] or 0)


async def serves_group(client: Reader, group: str) -> bool:
    """Whether the API server has that API group. Raises the errors of `kube.errors`."""
    try:
        await client.get_path(f"/apis/{group}")
    except NotFound:
        return False
    return True


async def serves(client: Reader, resource: Resource) -> bool:
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


async def missing_permissions(client: Reader, needed: Iterable[Permission]) -> list[Permission]:
    """Returns the permissions that the API server would refuse us now.

    In each namespace our rules are read at once (SelfSubjectRulesReview). What has to be allowed in all namespaces is
    asked for one by one (SelfSubjectAccessReview); so is what the rules lack where there may be more than they say.
    """
    wanted = list(needed)
    limit = asyncio.Semaphore(_CONCURRENT_REVIEWS)
    namespaces = [namespace for namespace in dict.fromkeys(permission.namespace for permission in wanted) if namespace]

    async def rules_in(namespace: str) -> _Rules:
        body = {**_head(SELF_SUBJECT_RULES_REVIEW), "spec": {"namespace": namespace}}
        async with limit:
            return _as(_RulesReview, await client.review(SELF_SUBJECT_RULES_REVIEW, body)).status

    async def allowed(permission: Permission) -> bool:
        rules = known.get(permission.namespace)
        if rules is not None and any(rule.allows(permission) for rule in rules.resource_rules):
            return True
        if rules is not None and not rules.incomplete:
            return False
        async with limit:
            return await _reviewed(client, permission)

    known = dict(zip(namespaces, await gather_first_error(map(rules_in, namespaces)), strict=True))
    answers = await gather_first_error(map(allowed, wanted))
    return [permission for permission, answer in zip(wanted, answers, strict=True) if not answer]


async def missing_permissions_of(client: Reader, account: Key, needed: Iterable[Permission]) -> list[Permission]:
    """Returns those of the permissions that the API server would refuse a ServiceAccount now.

    Raises Forbidden where we may not ask about others (create subjectaccessreviews).
    """
    wanted, limit = list(needed), asyncio.Semaphore(_CONCURRENT_REVIEWS)
    everybody = "system:serviceaccounts"
    subject = {
        "user": f"system:serviceaccount:{account.namespace}:{account.name}",
        "groups": [everybody, f"{everybody}:{account.namespace}", "system:authenticated"],
    }

    async def allowed(permission: Permission) -> bool:
        async with limit:
            return await _reviewed(client, permission, SUBJECT_ACCESS_REVIEW, subject)

    answers = await gather_first_error(map(allowed, wanted))
    return [permission for permission, answer in zip(wanted, answers, strict=True) if not answer]


async def _reviewed(
    client: Reader,
    permission: Permission,
    review: Resource = SELF_SUBJECT_ACCESS_REVIEW,
    subject: JsonObject | None = None,
) -> bool:
    attributes = {
        "verb": permission.verb,
        "group": permission.resource.group,
        "resource": permission.resource.plural,
        "subresource": permission.subresource,
        "namespace": permission.namespace,
    }
    body = {**_head(review), "spec": {"resourceAttributes": attributes, **(subject or {})}}
    return _as(_Review, await client.review(review, body)).status.allowed


def _head(resource: Resource) -> JsonObject:
    return {"apiVersion": resource.api_version, "kind": resource.kind}
