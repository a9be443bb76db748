"""The two custom resources as the machinery knows kinds.

Written out, and held to the models by a test: importing the models costs a command more time than all else.
"""

from __future__ import annotations

from wasmcloud_operator.kube.resources import Resource

HOST_CONFIG = Resource("k8s.wasmcloud.dev", "v1alpha1", "WasmCloudHostConfig", "wasmcloudhostconfigs")
APPLICATION = Resource("core.oam.dev", "v1beta1", "Application", "applications")
