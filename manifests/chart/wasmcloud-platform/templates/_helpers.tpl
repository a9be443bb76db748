{{- define "platform.labels" -}}
app.kubernetes.io/part-of: wasmcloud-platform
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "platform.natsServers" -}}
{{- if .Values.nats.config.cluster.enabled }}{{ .Values.nats.config.cluster.replicas }}{{ else }}1{{ end -}}
{{- end -}}

{{- /* host:port of NATS as clients in the cluster reach it. */ -}}
{{- define "platform.natsHost" -}}
{{- if .Values.nats.enabled -}}
{{- printf "%s.%s.svc.cluster.local:4222" .Values.nats.fullnameOverride .Release.Namespace -}}
{{- else -}}
{{- required "nats.address: where NATS is, since nats.enabled is false" .Values.nats.address -}}
{{- end -}}
{{- end -}}

{{- define "platform.natsAddress" -}}
{{- $host := include "platform.natsHost" . -}}
{{- if contains "://" $host }}{{ $host }}{{ else }}{{ printf "nats://%s" $host }}{{ end -}}
{{- end -}}

{{- define "platform.natsSelector" -}}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "platform.wadmSelector" -}}
app.kubernetes.io/name: wadm
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}
