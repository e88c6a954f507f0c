#!/bin/sh
# Installs on a host with dockerd what brings its TLS files and keeps them fresh. As root, in a clone of the repository, after `npm run build`:
#   sh examples/docker-daemon/install.sh KUBECONFIG
# With DESTDIR all of it goes below that folder. A daemon.json that is there already stays as it is; if it says itself where to listen or with which TLS, nothing is installed.
set -eu
fail() { echo "install.sh: $*" >&2 && exit 1; }
[ $# -eq 1 ] && [ -r "$1" ] || fail 'give the kubeconfig for this host'
kubeconfig=$(realpath "$1")
cd "$(dirname "$0")"
root=${DESTDIR:-}
library=$root/usr/local/lib/mtls-operator
units=$root/etc/systemd/system
config=$root/etc/docker/daemon.json

# systemd wants whole paths, and each way of packaging has its own.
dockerd=$(command -v dockerd) || fail 'there is no dockerd on the PATH'
node=$(command -v node) || fail 'there is no node on the PATH: Node 24 or newer is needed'
"$node" -e 'process.exit(Number(process.versions.node.split(".")[0]) < 24 ? 1 : 0)' || fail "$node is $("$node" --version): Node 24 or newer is needed"
[ -f ../../dist/main.js ] || fail 'there is no dist/main.js: npm run build'
if [ -e "$config" ]; then
  # dockerd does not start when flags and daemon.json give the same setting.
  conflicts=$("$node" -p '
    const config = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8").trim() || "{}");
    ["hosts", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey"].filter((key) => key in config).join(", ")' "$config") ||
    fail "$config cannot be read"
  [ -z "$conflicts" ] || fail "$config has $conflicts, which $PWD/listen.conf gives as flags: take it out of there first"
fi

install -d "$library" "$units/docker.service.d" "$root/etc/docker"
cp -R ../../dist/. restart-dockerd "$library/"
install -m 0644 dockerd-tls.service dockerd-tls.timer "$units/"
sed -i "s#^ExecStart=[^ ]*/node #ExecStart=$node #" "$units/dockerd-tls.service"
install -D -m 0600 "$kubeconfig" "$root/etc/mtls-operator/dockerd.kubeconfig"
if [ -e "$config" ]; then
  echo "$config stays as it is: it needs what stands in $PWD/daemon.json" >&2
else
  install -m 0644 daemon.json "$config"
fi
install -m 0644 listen.conf "$units/docker.service.d/"
sed -i "s#^ExecStart=[^ ]*/dockerd #ExecStart=$dockerd #" "$units/docker.service.d/listen.conf"
