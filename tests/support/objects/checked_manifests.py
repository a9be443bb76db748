"""Manifests that are in order, for tests of `check`."""

from __future__ import annotations

GOOD = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: hello
  annotations: {version: "1"}
spec:
  components:
    - name: web
      type: component
      properties: {image: "x:1"}
      traits: [{type: spreadscaler, properties: {instances: 1}}]
"""


HOSTS = """\
apiVersion: k8s.wasmcloud.dev/v1alpha1
kind: WasmCloudHostConfig
metadata: {name: edge}
spec:
  lattice: default
  version: 1.9.0
"""
