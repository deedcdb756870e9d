{{- /* Name of every object of the operator: `teasel-operator` for a release named teasel. */ -}}
{{- define "teasel.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $release := .Release.Name | trimSuffix "-operator" -}}
{{- if not (contains "teasel" $release) -}}
{{- $release = printf "%s-teasel" ($release | trunc 37 | trimSuffix "-") -}}
{{- end -}}
{{- printf "%s-operator" ($release | trunc 44 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- /* A Deployment's selector can't change, so these two labels are all that it has. */ -}}
{{- define "teasel.selectorLabels" -}}
app.kubernetes.io/name: teasel-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "teasel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "teasel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "teasel.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "teasel.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "teasel.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "teasel.workerImage" -}}
{{ .Values.worker.image.repository }}:{{ default .Chart.AppVersion .Values.worker.image.tag }}
{{- end -}}

{{- /* The operator's own pods, as a NetworkPolicyPeer. */ -}}
{{- define "teasel.operatorPeer" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ .Release.Namespace | quote }}
podSelector:
  matchLabels:
    {{- include "teasel.selectorLabels" . | nindent 4 }}
{{- end -}}

{{- /* Requests and limits with quantities as strings, whether or not they are quoted in the values. */ -}}
{{- define "teasel.resources" -}}
{{- $resources := dict -}}
{{- range $kind, $quantities := . -}}
{{- $strings := dict -}}
{{- range $name, $quantity := $quantities -}}
{{- $_ := set $strings $name (toString $quantity) -}}
{{- end -}}
{{- $_ := set $resources $kind $strings -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- /* What the operator may do to jobs and what they are made of: in the whole cluster or in each of its namespaces. */ -}}
{{- define "teasel.rules" -}}
- apiGroups: [teasel.dev]
  resources: [recommenderjobs]
  # Schedules create jobs, and hand requests on to them; jobs that are past their time to live, or a schedule's history,
  # are deleted.
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [teasel.dev]
  resources: [scheduledrecommenderjobs]
  verbs: [get, list, watch]
- apiGroups: [teasel.dev]
  resources: [recommenderjobs/status, scheduledrecommenderjobs/status]
  verbs: [update, patch]
# Owner references with blockOwnerDeletion need this where the cluster enforces it.
- apiGroups: [teasel.dev]
  resources: [recommenderjobs/finalizers, scheduledrecommenderjobs/finalizers]
  verbs: [update]
# A Job is never changed: a new attempt is a new Job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Task files, and frozen fields.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, delete]
# The names by which training workers find each other.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, delete]
# Every attempt brings its job's up to date.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, update]
# Why a Job's pods can't be created is said only in events.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
