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

{{/*
Fails where another release of this chart is in the namespace: both would want the same Lease, hence one of them would serve nothing, and nobody would be told.
Without a cluster, as in helm template, lookup finds nothing. nameOverride changes the one label, not the other.
*/}}
{{- define "mtls-operator.onlyOne" -}}
{{- $chart := printf "^%s-[0-9]" .Chart.Name }}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items }}
{{- $labels := dig "metadata" "labels" (dict) . }}
{{- $name := get $labels "app.kubernetes.io/name" }}
{{- $release := get $labels "app.kubernetes.io/instance" }}
{{- $ours := or (eq $name (include "mtls-operator.name" $)) (regexMatch $chart (get $labels "helm.sh/chart")) }}
{{- if and $ours $release (ne $release $.Release.Name) }}
{{- fail (printf "release %q in namespace %q runs an mtls-operator already, and of two in one namespace only one would ever serve: upgrade that release, or uninstall it first" $release $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Fails where a namespace that is to be served does not exist, before anything is changed: halfway through, what was created for the others would stay.
Without a cluster, as in helm template, lookup finds none at all.
*/}}
{{- define "mtls-operator.namespacesExist" -}}
{{- $existing := list }}
{{- if .Values.namespaces }}
{{- range (lookup "v1" "Namespace" "" "").items }}
{{- $existing = append $existing .metadata.name }}
{{- end }}
{{- end }}
{{- range .Values.namespaces }}
{{- if and $existing (ne . $.Release.Namespace) (not (has . $existing)) }}
{{- fail (printf "namespaces names %q, and there is no such namespace: create it first, or leave it out" .) }}
{{- end }}
{{- end }}
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

{{/* A tag is always there: without one kubelets would ask a registry each time. */}}
{{- define "mtls-operator.initImage" -}}
{{- .Values.mesh.initImage | default (printf "%s-init:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)) }}
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

{{/* Name of the second Deployment, and of everything that is its own: its account, its Service, its certificate. */}}
{{- define "mtls-operator.proxyApi" -}}
{{- printf "%s-proxy-api" (include "mtls-operator.fullname" .) }}
{{- end }}

{{- define "mtls-operator.proxyApiLabels" -}}
app.kubernetes.io/name: {{ include "mtls-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: proxy-api
{{- end }}

{{/* Labels as a selector: a=b,c=d. */}}
{{- define "mtls-operator.selectorText" -}}
{{- $pairs := list }}
{{- range $key, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" $key $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}
