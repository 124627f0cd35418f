{{- define "payment-ledger.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The labels of one process: (list $ "api"). */ -}}
{{- define "payment-ledger.selector" -}}
app.kubernetes.io/name: payment-ledger
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "payment-ledger.labels" -}}
{{ include "payment-ledger.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- define "payment-ledger.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest | quote }}
{{- else -}}
{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What a process has of config or secrets; migrations connect as another role and have only their own: (list $ "api" "config"). */ -}}
{{- define "payment-ledger.given" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) (index . 2) -}}
{{- $shared := eq (index . 1) "migrate" | ternary (dict) (index $root.Values (index . 2)) -}}
{{- merge (dict) $own $shared | toYaml -}}
{{- end -}}

{{- /* The variables of one process, and as NAME_FILE those that come from Secrets: (list $ "api" extra). */ -}}
{{- define "payment-ledger.env" -}}
{{- $root := index . 0 -}}
{{- $process := index . 1 -}}
{{- $secrets := include "payment-ledger.given" (list $root $process "secrets") | fromYaml -}}
{{- $config := include "payment-ledger.given" (list $root $process "config") | fromYaml -}}
{{- $env := list -}}
{{- range $name, $value := merge (dict) (index . 2) $config -}}
{{- if hasKey $secrets $name -}}
{{- fail (printf "%s of %s is given by config and by secrets: leave one of them out" $name $process) -}}
{{- end -}}
{{- $env = append $env (dict "name" $name "value" (toString $value)) -}}
{{- end -}}
{{- range $name, $reference := $secrets -}}
{{- $variable := hasSuffix "_FILE" $name | ternary $name (printf "%s_FILE" $name) -}}
{{- $env = append $env (dict "name" $variable "value" (printf "/run/secrets/payment-ledger/%s" $name)) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- /* The volume with the files that these variables name, and other files: (list $ "api"). */ -}}
{{- define "payment-ledger.volumes" -}}
{{- $variables := include "payment-ledger.given" (list (index . 0) (index . 1) "secrets") | fromYaml -}}
{{- $files := include "payment-ledger.given" (list (index . 0) (index . 1) "files") | fromYaml -}}
{{- $secrets := merge (dict) $variables $files -}}
{{- $sources := list -}}
{{- range $name, $reference := $secrets -}}
{{- $item := dict "key" $reference.key "path" $name -}}
{{- $sources = append $sources (dict "secret" (dict "name" $reference.name "items" (list $item))) -}}
{{- end -}}
- name: secrets
  projected:
    # For the group of the pod.
    defaultMode: 0440
    sources:
      {{- toYaml $sources | nindent 6 }}
{{- end -}}

{{- define "payment-ledger.pod" -}}
automountServiceAccountToken: false
# Else a Service called redis would set variables that look like ours.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "payment-ledger.container" -}}
image: {{ include "payment-ledger.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
volumeMounts:
  - { name: secrets, mountPath: /run/secrets/payment-ledger, readOnly: true }
{{- end -}}

{{- define "payment-ledger.placement" -}}
{{- $placement := dict -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" -}}
{{- with index $ $name -}}{{- $_ := set $placement $name . -}}{{- end -}}
{{- end -}}
{{- with $placement }}{{ toYaml . }}{{ end -}}
{{- end -}}
