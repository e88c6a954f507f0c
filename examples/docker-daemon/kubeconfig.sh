#!/bin/sh
# Writes a kubeconfig with the token in a Secret of the type kubernetes.io/service-account-token, for a host outside of the cluster:
#   sh kubeconfig.sh docker dockerd-build-1-token dockerd.kubeconfig
# The file is for its owner alone: the token in it does not expire. The server is that of your current context: the host must reach it by the same name.
set -eu
[ $# -eq 3 ] || { echo 'kubeconfig.sh NAMESPACE SECRET FILE' >&2 && exit 1; }
namespace=$1
secret=$2
file=$3

field() { kubectl get secret "$secret" -n "$namespace" -o "jsonpath={.data.$1}"; }
server=$(kubectl config view --raw --minify -o 'jsonpath={.clusters[0].cluster.server}')
authority=$(field 'ca\.crt')
token=$(field token | base64 -d)
[ -n "$token" ] || { echo "the Secret $namespace/$secret has no token yet" >&2 && exit 1; }

# mktemp makes it 0600. A file that was there already may be readable for others, and would stay so.
temporary=$(mktemp "$file.XXXXXX")
trap 'rm -f "$temporary"' EXIT
cat >"$temporary" <<END
apiVersion: v1
kind: Config
current-context: host
contexts: [{ name: host, context: { cluster: cluster, user: host, namespace: $namespace } }]
clusters: [{ name: cluster, cluster: { server: "$server", certificate-authority-data: $authority } }]
users: [{ name: host, user: { token: $token } }]
END
mv -f "$temporary" "$file"
