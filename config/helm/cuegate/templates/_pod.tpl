{{/* A pod, as both kinds of set have it. */}}
{{- define "cuegate.pod" -}}
metadata:
  labels:
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "cuegate.selector" . | nindent 4 }}
  annotations:
    {{- if and .Values.restartOnConfigChange (not .Values.existingConfigMap) }}
    checksum/config: {{ include "cuegate.config" . | sha256sum }}
    {{- end }}
    {{- if .Values.secretEnv }}
    checksum/secret: {{ toYaml .Values.secretEnv | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "cuegate.serviceAccount" . }}
  automountServiceAccountToken: false
  # Else every service of the namespace named `cuegate…` becomes variables CUEGATE_….
  enableServiceLinks: false
  # The drain, and the time until the API counts none of the last calls any more.
  terminationGracePeriodSeconds: {{ add (int .Values.drainSeconds) 45 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity: {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if .Values.cluster.enabled }}
  # A machine takes one of them with it, not all.
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "cuegate.selector" . | nindent 16 }}
  {{- end }}
  {{- if .Values.cluster.enabled }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "cuegate.selector" . | nindent 10 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if and .Values.cluster.enabled .Values.cluster.initTables }}
  initContainers:
    # Makes the tables, or brings them up to date, which needs a role that may; later it only looks.
    - name: tables
      image: {{ include "cuegate.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [cluster, init, --config, /etc/cuegate/cuegate.toml]
      env: {{- include "cuegate.env" . | nindent 8 }}
      envFrom: {{- include "cuegate.envFrom" . | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts: {{- include "cuegate.mounts" . | nindent 8 }}
  {{- end }}
  containers:
    - name: cuegate
      image: {{ include "cuegate.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/cuegate/cuegate.toml, --log-format, json]
      env: {{- include "cuegate.env" . | nindent 8 }}
      {{- with include "cuegate.envFrom" . }}
      envFrom: {{- . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 8080}
        {{- if .Values.cluster.enabled }}
        - {name: nodes, containerPort: 8082}
        {{- end }}
        - {name: metrics, containerPort: 9464}
      # A large journal takes a while to read; nothing answers before that is done.
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 2
        failureThreshold: 90
      # The process answers: nothing about AWS or a stream, which a restart would not mend.
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # It can accept events{{ if .Values.cluster.enabled }}, or hand them to the node that does{{ end }}: 503 while it drains or cannot write its journal.
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 3
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts: {{- include "cuegate.mounts" . | nindent 8 }}
  volumes:
    - name: config
      configMap: {name: {{ default (include "cuegate.fullname" .) .Values.existingConfigMap }}}
    {{- if .Values.tlsSecret }}
    - name: tls
      secret: {secretName: {{ .Values.tlsSecret }}, defaultMode: 0440}
    {{- end }}
    {{- if not (or .Values.persistence.enabled .Values.cluster.enabled) }}
    - name: state
      emptyDir: {sizeLimit: {{ .Values.persistence.size }}}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "cuegate.env" -}}
- {name: CUEGATE__SERVER__LISTEN, value: "0.0.0.0:8080"}
- {name: CUEGATE__METRICS__LISTEN, value: "0.0.0.0:9464"}
- {name: CUEGATE__SERVER__DRAIN_TIMEOUT_MS, value: {{ mul (int .Values.drainSeconds) 1000 | quote }}}
{{- if .Values.cluster.enabled }}
- {name: CUEGATE__CLUSTER__URL_ENV, value: CUEGATE_DATABASE}
- {name: CUEGATE__CLUSTER__SECRET_ENV, value: CUEGATE_NODES}
- {name: CUEGATE__CLUSTER__LISTEN, value: "0.0.0.0:8082"}
- name: CUEGATE__CLUSTER__NODE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- {name: CUEGATE__CLUSTER__ADVERTISE, value: "$(POD_IP):8082"}
{{- else }}
- {name: CUEGATE__JOURNAL__DIR, value: /var/lib/cuegate/journal}
{{- end }}
{{- if .Values.tlsSecret }}
- {name: CUEGATE__SERVER__TLS_CERT, value: /etc/cuegate-tls/tls.crt}
- {name: CUEGATE__SERVER__TLS_KEY, value: /etc/cuegate-tls/tls.key}
{{- end }}
{{- with .Values.env }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "cuegate.envFrom" -}}
{{- if .Values.secretEnv }}
- secretRef: {name: {{ include "cuegate.fullname" . }}}
{{- end }}
{{- with .Values.existingSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{- define "cuegate.mounts" -}}
{{- if not .Values.cluster.enabled }}
- {name: state, mountPath: /var/lib/cuegate}
{{- end }}
# The directory, not the file by subPath: that would never show a change.
- {name: config, mountPath: /etc/cuegate, readOnly: true}
{{- if .Values.tlsSecret }}
- {name: tls, mountPath: /etc/cuegate-tls, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}
