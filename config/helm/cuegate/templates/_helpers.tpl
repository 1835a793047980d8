{{- define "cuegate.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pod; it must never change in a release. */}}
{{- define "cuegate.selector" -}}
app.kubernetes.io/name: cuegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cuegate.labels" -}}
{{ include "cuegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "cuegate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cuegate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "cuegate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "cuegate.config" -}}
{{- required "set `config` to the text of cuegate.toml, or `existingConfigMap`: the chart's README has examples" .Values.config -}}
{{- end -}}
