"""The only module that imports kubernetes_asyncio: its ApiClient, Configuration and credential loaders."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from urllib.parse import quote

import msgspec
import yaml

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_objects
from wasmcloud_operator.kube.errors import KubeError, NoCredentials
from wasmcloud_operator.kube.exec_credential import ExecPlugin, PluginSpec
from wasmcloud_operator.kube.service_account import pod_namespace


@dataclass(frozen=True, slots=True)
class Library:
    """The four parts of kubernetes_asyncio that we use. It ships no usable types, hence Any."""

    api_client: Any
    configuration: Any
    incluster_config: Any
    kube_config: Any


# What the four parts import, and what they take from it, for calls that we never make: models, basic authentication,
# threads. A tenth of a command's start.
_UNCALLED: Mapping[str, Sequence[str]] = {
    "dateutil": (),
    "dateutil.parser": ("parse",),
    "multiprocessing": (),
    "multiprocessing.pool": ("ThreadPool",),
    "urllib3": (),
}


def _import_slim() -> Library:
    """Import the four parts without the 700 generated models and API classes.

    The package's `__init__` modules import all of them: 0.4 s and 32 MB that are never used. Bare stand-ins for those
    `__init__` modules and for `_UNCALLED`, in place only while the four parts load, leave them out. Whoever imports
    kubernetes_asyncio afterwards gets the whole of it.
    """
    spec = importlib.util.find_spec("kubernetes_asyncio")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("kubernetes_asyncio is not installed")
    if "kubernetes_asyncio" in sys.modules:
        return _load_parts()
    for name in ("aiohttp", "six", "yaml"):  # all else that the parts import: it must see no stand-in
        importlib.import_module(name)
    root = Path(next(iter(spec.submodule_search_locations)))
    uncalled = [name for name in _UNCALLED if name.partition(".")[0] not in sys.modules]
    try:
        for name in uncalled:
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(dict.fromkeys(_UNCALLED[name]))
        for path in ((), ("client",), ("client", "models"), ("config",)):
            _stand_in(path, root)
        return _load_parts()
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "kubernetes_asyncio"]:
            del sys.modules[name]
        for name in uncalled:
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

# Where the library's words for an entry begin to be all that is in it, as its name is no text.
_NO_NAME = re.compile(r"\{|\[[\['\"]")
_CA = "certificate-authority-data"
_CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", _CA, "proxy-url", "disable-compression")
# Some hundred clusters; more is no kubeconfig.
_KUBECONFIG_LIMIT = 512 * 1024

# It prints whole bodies at DEBUG, Secrets among them.
logging.getLogger("kubernetes_asyncio").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the address of the API server and the credentials come from.

    `kubeconfig` None means: the file that `$KUBECONFIG` names, else the pod's service account, unless a context is
    named, else `~/.kube/config`. An empty `context` is none, as for kubectl.
    """

    kubeconfig: Path | None = None
    context: str | None = None

    def source(self) -> str:
        """Returns the kubeconfig's path (or several, as `$KUBECONFIG` takes them); empty: the service account."""
        if self.kubeconfig is not None:
            return str(self.kubeconfig)
        if named := os.environ.get("KUBECONFIG"):
            return named
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not self.context:
            return ""
        return str(Path.home() / ".kube" / "config")


class CredentialLoader:
    """Reads credentials again and again: each time it brings what has changed since."""

    def __init__(self, credentials: Credentials, clock: Clock = SYSTEM_CLOCK) -> None:
        self._credentials = credentials
        self._plugin = ExecPlugin(clock)
        self._files = TemporaryDirectory(prefix="kube-credentials-")  # ssl takes certificates from files only
        self.headers: Sequence[tuple[str, str]] = ()
        """Headers of each request besides the credentials: whom the user acts for."""

    def close(self) -> None:
        """Remove the certificates that a plugin gave."""
        self._files.cleanup()

    async def load(self, configuration: Any, *, rejected: bool = False) -> None:
        """Write the address, CA and credentials into a kubernetes_asyncio Configuration.

        `rejected`: the server no longer accepts what was loaded last. Raises NoCredentials with what to do if there is
        nothing usable, Unreachable if a credential plugin fails.
        """
        source = self._credentials.source()
        try:
            if source:
                await self._load_kubeconfig(source, configuration, rejected)
            else:
                # Without the library's own refreshing, which holds on to a token for a minute after a 401.
                LIBRARY.incluster_config.load_incluster_config(configuration, try_refresh_token=False)
            _trim_token(configuration)
        except KubeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises at a file of another shape
            where = source or "the pod's service account"
            # Not chained: what the library raises may quote the file, and a log shows the whole chain.
            raise NoCredentials(f"no usable credentials in {where}: {_words(error)}{self._advice()}") from None

    async def _load_kubeconfig(self, source: str, configuration: Any, rejected: bool) -> None:
        if not _exists(source):
            raise NoCredentials(f"the kubeconfig {source} does not exist{self._advice()}")
        # In a thread: it is read every minute, and a large one takes the parser a second.
        loader = LIBRARY.kube_config.KubeConfigLoader(
            config_dict=await asyncio.to_thread(_merged, source),
            active_context=self._credentials.context or None,
            config_base_path=None,
        )
        user = loader._user  # noqa: SLF001 - the library offers no other way to its own choice of user
        if user is None:
            user = loader._user = _nobody(loader, source)  # noqa: SLF001 - likewise
        _understand(user)
        self.headers = _impersonation(user.value)

        async def run_plugin() -> bool:
            spec = msgspec.convert(user["exec"].value, PluginSpec)
            cluster = _cluster_info(loader._cluster) if spec.provide_cluster_info else None  # noqa: SLF001 - likewise
            spec = msgspec.structs.replace(spec, cluster=cluster)
            credential = await self._plugin.credential(spec, _folder(user), rejected=rejected)
            if credential.token:
                loader.token = f"Bearer {credential.token}"
            if credential.certificate:
                loader.cert_file = self._file("client.crt", credential.certificate)
                loader.key_file = self._file("client.key", credential.key)
            return True

        # The library's own way has no deadline, and runs the plugin each time.
        loader.load_from_exec_plugin = run_plugin
        await loader.load_and_set(configuration)

    def _file(self, name: str, content: str) -> str:
        path = Path(self._files.name, name)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        return str(path)

    def _advice(self) -> str:
        return "" if self._credentials.kubeconfig is not None else "; set KUBECONFIG or run in a cluster"


def cluster_name(credentials: Credentials) -> str:
    """Returns the name that the kubeconfig has for the cluster; empty in a pod. Raises NoCredentials."""
    return _in_context(credentials, "cluster")


def default_namespace(credentials: Credentials) -> str:
    """Returns the namespace of the kubeconfig's context, or of the pod, which kubectl takes where none is named.

    Raises NoCredentials.
    """
    return _in_context(credentials, "namespace") or ("" if credentials.source() else pod_namespace()) or "default"


def _in_context(credentials: Credentials, entry: str) -> str:
    source = credentials.source()
    if not source or not _exists(source):
        return ""
    try:
        config = _merged(source)
        wanted = credentials.context or config["current-context"]
        return str(config["contexts"].get_with_name(wanted)["context"].safe_get(entry) or "")
    except KubeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the library raises at a file of another shape
        raise NoCredentials(f"the kubeconfig {source} cannot be read: {_words(error)}") from None


def _merged(source: str) -> Any:
    for path in (Path(name).expanduser() for name in source.split(os.pathsep) if name):
        if path.exists() and path.stat().st_size > _KUBECONFIG_LIMIT:
            raise NoCredentials(f"the kubeconfig {path} has more than {_KUBECONFIG_LIMIT // 1024} KiB")
    merger = LIBRARY.kube_config.KubeConfigMerger(source)
    # The first file that names one, as for kubectl; for the library the last, even one that names an empty one.
    if current := next(filter(None, (config.get("current-context") for config in merger.config_files.values())), None):
        merger.config.value["current-context"] = current
    return merger.config


def _nobody(loader: Any, source: str) -> Any:
    """Returns the user of a context that names none, which the library does not take where the server has TLS.

    Raises NoCredentials for a context whose user is not there.
    """
    if named := loader._current_context["context"].safe_get("user"):  # noqa: SLF001 - as its user
        raise NoCredentials(f"the kubeconfig {source} has no user {named}, which the context names")
    return LIBRARY.kube_config.ConfigNode("user", {}, loader._cluster.path)  # noqa: SLF001 - likewise


def _understand(user: Any) -> None:
    """Have the library read the user as kubectl does.

    It takes the certificate's path as relative to the cluster's file, and a token before that in the token's file.
    """
    if "tokenFile" in user:
        user.value.pop("token", None)
    for name in ("client-certificate", "client-key"):
        if name in user:
            user.value[name] = str(_folder(user) / user[name])


class _Impersonated(msgspec.Struct, frozen=True):
    """Whom a user acts for: the library knows nothing of it, and would act with more rights than are meant."""

    user: str | None = msgspec.field(name="as", default=None)
    uid: str | None = msgspec.field(name="as-uid", default=None)
    groups: list[str] | None = msgspec.field(name="as-groups", default=None)
    extra: dict[str, list[str]] | None = msgspec.field(name="as-user-extra", default=None)


def _impersonation(user: Json) -> list[tuple[str, str]]:
    """Returns the headers of KEP-541 for a kubeconfig's user. Raises msgspec.ValidationError."""
    found = msgspec.convert(user, _Impersonated)
    named = (("Impersonate-User", found.user), ("Impersonate-Uid", found.uid))
    return [
        *((header, value) for header, value in named if value),
        *(("Impersonate-Group", group) for group in found.groups or ()),
        *(
            (f"Impersonate-Extra-{quote(key, safe='')}", value)
            for key, values in (found.extra or {}).items()
            for value in values
        ),
    ]


def _cluster_info(cluster: Any) -> JsonObject:
    """Returns what a plugin receives about the cluster (`spec.cluster` of an ExecCredential)."""
    given: JsonObject = cluster.value
    info = {name: given[name] for name in _CLUSTER_FIELDS if name in given}
    if _CA not in info and given.get("certificate-authority"):
        content = (_folder(cluster) / given["certificate-authority"]).read_bytes()
        info[_CA] = base64.b64encode(content).decode()
    for extension in as_objects(given.get("extensions")):
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def _folder(entry: Any) -> Path:
    """Returns the folder of the kubeconfig in which the entry stands."""
    return Path(entry.path).absolute().parent


class _NoHeader(ValueError):
    """A token that no HTTP header can hold."""


def _trim_token(configuration: Any) -> None:
    """Remove the newline that a token's file may end with. Raises _NoHeader for a token that none can hold."""
    header = configuration.api_key.get("BearerToken")
    if header is None:
        return
    header = header.strip()
    if not (header.isascii() and header.isprintable()):
        raise _NoHeader("the token has characters that an HTTP header cannot hold")
    configuration.api_key["BearerToken"] = header


def _words(error: Exception) -> str:
    """Returns what is wrong, without the value in question: `password: *hunter2` is a YAML alias to the parser."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1} is not valid YAML; are all values in quotes?"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}"
    if isinstance(error, LIBRARY.kube_config.ConfigException):
        return _NO_NAME.split(str(error))[0]
    if isinstance(error, (_NoHeader, msgspec.ValidationError)):
        return str(error)
    return f"not what a kubeconfig holds ({type(error).__name__})"


def _exists(source: str) -> bool:
    return any(Path(path).expanduser().exists() for path in source.split(os.pathsep) if path)
