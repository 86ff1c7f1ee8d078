{{- define "weir.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "weir.policies" -}}
{{- .Values.existingPolicies | default (printf "%s-policies" (include "weir.fullname" .)) -}}
{{- end -}}

{{/* Whether there can be more than one instance; empty means no. */}}
{{- define "weir.isReplicated" -}}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled -}}true{{- end -}}
{{- end -}}

{{- define "weir.args" -}}
- serve
{{- with .Values.xds }}
{{- if .address }}
- --xds={{ .address }}
- --xds-node-id={{ .nodeId }}
{{- if .tlsSecret }}
- --xds-ca=/xds-tls/ca.crt
- --xds-cert=/xds-tls/tls.crt
- --xds-key=/xds-tls/tls.key
{{- end }}
{{- else }}
- --policies=/policies
{{- if not (or $.Values.policies $.Values.existingPolicies) }}
- --allow-empty
{{- end }}
{{- end }}
{{- end }}
- --grpc=:{{ .Values.grpc.port }}
- --http=:{{ .Values.http.port }}
- --memory={{ .Values.store.memory }}
{{- if eq .Values.store.type "redis" }}
{{- with .Values.store.redis }}
- --store={{ .address }}
{{- if .passwordSecret }}
- --redis-password-file=/redis-password/password
{{- end }}
{{- if .tlsSecret }}
- --redis-ca=/redis-tls/ca.crt
{{- if .clientCertificate }}
- --redis-cert=/redis-tls/tls.crt
- --redis-key=/redis-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.grpc.tls }}
{{- if .secret }}
- --grpc-tls-cert=/grpc-tls/tls.crt
- --grpc-tls-key=/grpc-tls/tls.key
{{- if .requireClientCertificate }}
- --grpc-client-ca=/grpc-tls/ca.crt
{{- range .clientNames }}
- --grpc-client-san={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
- --max-connection-age={{ .Values.grpc.maxConnectionAge }}
{{- if .Values.http.adminTokenSecret }}
- --admin-token-file=/admin-token/token
{{- end }}
{{- if .Values.http.envoyRatelimitMetrics }}
- --envoy-ratelimit-metrics
{{- end }}
- --drain={{ .Values.shutdown.drainSeconds }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Each secret or ConfigMap as `name: {mount, volume}`, in the order of the flags. */}}
{{- define "weir.mounts" -}}
{{- if .Values.xds.address }}
{{- with .Values.xds.tlsSecret }}
xds-tls: {secret: {secretName: {{ . }}}}
{{- end }}
{{- else }}
policies: {configMap: {name: {{ include "weir.policies" . }}}}
{{- end }}
{{- if eq .Values.store.type "redis" }}
{{- with .Values.store.redis.passwordSecret }}
redis-password: {secret: {secretName: {{ . }}}}
{{- end }}
{{- with .Values.store.redis.tlsSecret }}
redis-tls: {secret: {secretName: {{ . }}}}
{{- end }}
{{- end }}
{{- with .Values.grpc.tls.secret }}
grpc-tls: {secret: {secretName: {{ . }}}}
{{- end }}
{{- with .Values.http.adminTokenSecret }}
admin-token: {secret: {secretName: {{ . }}}}
{{- end }}
{{- end -}}
