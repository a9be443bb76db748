"""The pods' network of a kind cluster, in place of kindnetd: a range for each node, and routes between the nodes."""

from __future__ import annotations

from pathlib import Path

from testbed.node.archive import Image
from testbed.node.images import applets, busybox

NAME = "localhost/testbed-cni:1"

# What a node needs to know is in the list of nodes: its own range, and which address each other range is behind.
_SCRIPT = r"""
nodes='{{range .items}}{{.metadata.name}} {{.spec.podCIDR}}
{{- range .status.addresses}}{{if eq .type "InternalIP"}} {{.address}}{{end}}{{end}}
{{end}}'
conf=/host-cni/10-testbed.conflist
while true; do
  kubectl get nodes -o "go-template=$nodes" >/tmp/nodes || { sleep 1; continue; }
  while read -r name range address; do
    case "$range" in */*) ;; *) continue ;; esac
    if [ "$name" != "$NODE_NAME" ]; then
      ip route replace "$range" via "$address"
    elif [ ! -e "$conf" ]; then
      sed "s#RANGE#$range#" /conflist >"$conf.partial"
      mv "$conf.partial" "$conf"
    fi
  done </tmp/nodes
  sleep 2
done
"""
_CONFLIST = """{
  "cniVersion": "1.0.0",
  "name": "testbed",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/testbed-cni",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "RANGE"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"""
MANIFEST = f"""apiVersion: v1
kind: ServiceAccount
metadata: {{name: testbed-cni, namespace: kube-system}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: testbed-cni}}
rules:
- {{apiGroups: [""], resources: [nodes], verbs: [list]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: testbed-cni}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: testbed-cni}}
subjects:
- {{kind: ServiceAccount, name: testbed-cni, namespace: kube-system}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: testbed-cni, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{app: testbed-cni}}}}
  template:
    metadata: {{labels: {{app: testbed-cni}}}}
    spec:
      serviceAccountName: testbed-cni
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations:
      - {{operator: Exists}}
      containers:
      - name: cni
        image: {NAME}
        imagePullPolicy: Never
        env:
        - {{name: NODE_NAME, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
        securityContext:
          capabilities: {{add: [NET_ADMIN]}}
        volumeMounts:
        - {{name: conf, mountPath: /host-cni}}
      volumes:
      - {{name: conf, hostPath: {{path: /etc/cni/net.d, type: DirectoryOrCreate}}}}
"""


def image(kubectl: Path, target: Path) -> Path:
    """What the DaemonSet runs: a shell, kubectl, and the script."""
    return Image(
        (NAME,),
        ("/bin/sh", "/script"),
        {"/bin/busybox": busybox(), "/bin/kubectl": kubectl},
        links=applets(),
        texts={"/script": _SCRIPT, "/conflist": _CONFLIST},
        env=("PATH=/bin",),
    ).write(target)
