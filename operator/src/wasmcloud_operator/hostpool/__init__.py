"""Host pools: WasmCloudHostConfig to ServiceAccount, ConfigMap, Service, Deployment or DaemonSet, and status."""
