"""The one place that imports kubernetes_asyncio: its ApiClient, Configuration and credential loaders."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from wasmcloud_operator.kube.errors import NoCredentials


@dataclass(frozen=True, slots=True)
class Library:
    """The four parts of kubernetes_asyncio that we use. It ships no usable types, hence Any."""

    api_client: Any
    configuration: Any
    incluster_config: Any
    kube_config: Any


def _import_slim() -> Library:
    """Import the four parts without the 700 generated models and API classes.

    The package's `__init__` modules import all of them: 0.4 s and 32 MB that are never used. Bare stand-ins for those
    `__init__` modules, in place only while the four parts load, leave them out. Whoever imports kubernetes_asyncio
    afterwards gets the whole of it.
    """
    spec = importlib.util.find_spec("kubernetes_asyncio")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("kubernetes_asyncio is not installed")
    if "kubernetes_asyncio" in sys.modules:
        return _load_parts()
    root = Path(next(iter(spec.submodule_search_locations)))
    try:
        for path in ((), ("client",), ("client", "models"), ("config",)):
            _stand_in(path, root)
        return _load_parts()
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "kubernetes_asyncio"]:
            del sys.modules[name]


def _stand_in(path: tuple[str, ...], root: Path) -> None:
    package = ModuleType(".".join(("kubernetes_asyncio", *path)))
    package.__path__ = [str(root.joinpath(*path))]
    sys.modules[package.__name__] = package
    if path:
        setattr(sys.modules[".".join(("kubernetes_asyncio", *path[:-1]))], path[-1], package)


def _load_parts() -> Library:
    configuration = importlib.import_module("kubernetes_asyncio.client.configuration").Configuration
    api_client = importlib.import_module("kubernetes_asyncio.client.api_client").ApiClient
    # The loaders take both from the package, which a stand-in does not have yet.
    sys.modules["kubernetes_asyncio.client"].__dict__.update(Configuration=configuration, ApiClient=api_client)
    return Library(
        api_client,
        configuration,
        importlib.import_module("kubernetes_asyncio.config.incluster_config"),
        importlib.import_module("kubernetes_asyncio.config.kube_config"),
    )


LIBRARY = _import_slim()

# It prints whole bodies at DEBUG, Secrets among them.
logging.getLogger("kubernetes_asyncio").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the address of the API server and the credentials come from.

    `kubeconfig` None means: the file that `$KUBECONFIG` names, else the pod's service account, else `~/.kube/config`.
    """

    kubeconfig: Path | None = None
    context: str | None = None

    async def load(self, configuration: Any) -> None:
        """Write the address, CA and credentials into a kubernetes_asyncio Configuration.

        Called again, it brings what has changed since: a rotated token, a renewed exec credential. Raises NoCredentials
        with what to do if there is nothing usable.
        """
        source = self._source()
        if source is not None and not source.exists():
            raise NoCredentials(f"the kubeconfig {source} does not exist{self._advice()}")
        try:
            if source is None:
                LIBRARY.incluster_config.load_incluster_config(configuration)
            else:
                await LIBRARY.kube_config.load_kube_config(
                    str(source), context=self.context, client_configuration=configuration, persist_config=False
                )
        except Exception as error:
            where = source or "the pod's service account"
            raise NoCredentials(f"no usable credentials in {where}: {error}{self._advice()}") from error

    def _advice(self) -> str:
        return "" if self.kubeconfig is not None else "; set KUBECONFIG or run in a cluster"

    def _source(self) -> Path | None:
        if self.kubeconfig is not None:
            return self.kubeconfig
        if named := os.environ.get("KUBECONFIG"):
            return Path(named)
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return None
        return Path.home() / ".kube" / "config"
