"""A manifest whose HTTP server is linked to a component, from a few settings."""

from __future__ import annotations

from typing import Any

IMAGE = "ghcr.io/wasmcloud/http-server:0.27.0"
BUILTIN = "wasmcloud+builtin://http-server"


def link(*configs: dict[str, Any], name: str | None = "default", **more: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "namespace": "wasi",
        "package": "http",
        "interfaces": ["incoming-handler"],
        "target": {"name": "web"},
        "source": {"config": list(configs)},
        **more,
    }
    if name is not None:
        properties["name"] = name
    return {"type": "link", "properties": properties}


def defined(name: str = "c", **properties: str) -> dict[str, Any]:
    return {"name": name, "properties": properties}


def manifest(
    *traits: dict[str, Any], config: list[dict[str, Any]] | None = None, image: str = IMAGE, name: str = "hello"
) -> dict[str, Any]:
    properties: dict[str, Any] = {"image": image}
    if config is not None:
        properties["config"] = config
    server = {"name": "httpserver", "type": "capability", "properties": properties, "traits": list(traits)}
    web = {"name": "web", "type": "component", "properties": {"image": "x/web:1"}}
    return {"metadata": {"name": name}, "spec": {"components": [web, server]}}
