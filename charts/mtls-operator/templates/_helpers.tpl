{{- define "mtls-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Beginning of all names: short enough for what is appended to it. Helm takes names of releases that Kubernetes does not take for a Service. */}}
{{- define "mtls-operator.fullname" -}}
{{- $name := include "mtls-operator.name" . }}
{{- $fullname := .Values.fullnameOverride }}
{{- if not $fullname }}
{{- $fullname = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- if or (gt (len $fullname) 50) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname)) }}
{{- fail (printf "no Service can be called %s-controller: set fullnameOverride to a name of at most 50 lower-case letters, digits and hyphens that begins with a letter and does not end with a hyphen" $fullname) }}
{{- end }}
{{- $fullname }}
{{- end }}

{{- define "mtls-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "mtls-operator.fullname" .) }}
{{- else }}
{{- required "serviceAccount.name has to be set where serviceAccount.create is false: write the name of an account that exists" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What the pods of the controller are found by. Never to be changed: a Deployment's selector cannot be. */}}
{{- define "mtls-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mtls-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "mtls-operator.labels" -}}
app.kubernetes.io/name: {{ include "mtls-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "mtls-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* As the Pod Security Standard "restricted" asks for. The image names its user by number. */}}
{{- define "mtls-operator.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "mtls-operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
