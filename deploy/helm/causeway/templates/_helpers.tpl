{{- define "causeway.labels" -}}
app.kubernetes.io/name: causeway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "causeway.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* config.yaml: what the chart knows better, then what it was given. */}}
{{- define "causeway.config" -}}
cluster:
  source: kubernetes
  {{- if .Values.clusterName }}
  name: {{ .Values.clusterName | quote }}
  {{- end }}
  {{- if .Values.apiServers }}
  kubernetes:
    servers:
      {{- toYaml .Values.apiServers | nindent 6 }}
  {{- end }}
metrics:
  listen: "{{ .Values.metrics.address }}:{{ .Values.metrics.port }}"
  {{- if .Values.metrics.tls.secret }}
  tls:
    certFile: /etc/causeway-tls/tls.crt
    keyFile: /etc/causeway-tls/tls.key
    {{- if .Values.metrics.tls.clientCa }}
    clientCaFile: /etc/causeway-tls/ca.crt
    {{- end }}
  {{- end }}
{{ toYaml .Values.config }}
{{- end }}

{{- define "causeway.scheme" -}}
{{ if .Values.metrics.tls.secret }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- /* What every container of the daemon's pod that touches the node may do. */}}
{{- define "causeway.daemon.securityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: 0
capabilities:
  drop: [ALL]
  add:
    {{- toYaml .Values.daemon.security.capabilities | nindent 4 }}
{{- end }}

{{- define "causeway.daemon.env" -}}
- name: CAUSEWAY_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- if .Values.daemon.extraEnv }}
{{ toYaml .Values.daemon.extraEnv }}
{{- end }}
{{- end }}

{{- define "causeway.daemon.mounts" -}}
- name: config
  mountPath: /etc/causeway
  readOnly: true
{{- if .Values.metrics.tls.secret }}
- name: tls
  mountPath: /etc/causeway-tls
  readOnly: true
{{- end }}
- name: run
  mountPath: {{ .Values.config.paths.run }}
- name: state
  mountPath: {{ .Values.config.paths.state }}
- name: cni-conf
  mountPath: {{ .Values.config.paths.cniConf }}
- name: cni-bin
  mountPath: {{ .Values.config.paths.cniBin }}
  readOnly: true
# What is mounted there later, such as by another start, is seen as well.
- name: bpffs
  mountPath: {{ .Values.daemon.hostPaths.bpffs }}
  mountPropagation: HostToContainer
# The whole tree: a container's own /sys/fs/cgroup shows no more than itself.
- name: cgroup
  mountPath: {{ .Values.config.paths.cgroup }}
  readOnly: true
  mountPropagation: HostToContainer
# Namespaces of pods are mounted while the daemon runs. Runtimes name them by either path.
- name: netns
  mountPath: /run/netns
  mountPropagation: HostToContainer
- name: netns
  mountPath: /var/run/netns
  mountPropagation: HostToContainer
- name: networkd
  mountPath: {{ .Values.config.paths.networkd }}
- name: network-manager
  mountPath: {{ .Values.config.paths.networkManager }}
# A container's own /proc/sys is read-only unless it is privileged.
- name: sysctl
  mountPath: {{ .Values.config.paths.sysctl }}/net
{{- end }}
