"""How much of what hosts say of themselves is kept: whoever may publish in a lattice can make up hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from wasmcloud_operator.lattice.host_types import Host, Provider

HOST_LIMIT = 10_000
HOST_BYTES = 512 * 1024  # a host with some thousand components, or eight hundred providers
LATTICE_BYTES = 64 * 1024 * 1024

_ENTRY = 120  # bytes that Python needs for a short text and its place in a mapping, about


def fitted(host: Host) -> tuple[Host, bool]:
    """Returns the host with its size in bytes, about, and whether something of it was left out as too large."""
    size = _size(host)
    if size <= HOST_BYTES:
        return replace(host, size=size), False
    labels = host.labels if _texts(host.labels) <= HOST_BYTES // 2 else MappingProxyType({})
    bare = replace(host, labels=labels, components=MappingProxyType({}), providers=MappingProxyType({}), news=())
    return replace(bare, size=_size(bare)), True


def _size(host: Host) -> int:
    news_size = sum(_provider(news.provider) if news.provider else _ENTRY for news in host.news)
    return (
        4 * _ENTRY
        + len(host.id)
        + len(host.friendly_name)
        + len(host.version)
        + _texts(host.labels)
        + sum(len(name) + len(component.application) for name, component in host.components.items())
        + 2 * _ENTRY * len(host.components)
        + sum(map(_provider, host.providers.values()))
        + news_size
    )


def _provider(provider: Provider) -> int:
    return 2 * _ENTRY + len(provider.id) + len(provider.image_ref) + _texts(provider.annotations)


def _texts(pairs: Mapping[str, str]) -> int:
    return sum(len(key) + len(value) + 2 * _ENTRY for key, value in pairs.items())
