#!/bin/sh
# Installs on a host with dockerd what brings its TLS files and keeps them fresh. As root, in a clone of the repository, after `npm run build`:
#   sh examples/docker-daemon/install.sh KUBECONFIG
# With DESTDIR all of it goes below that folder. A daemon.json that is there already stays as it is.
set -eu
kubeconfig=$(realpath "$1")
cd "$(dirname "$0")"
root=${DESTDIR:-}
library=$root/usr/local/lib/mtls-operator
units=$root/etc/systemd/system

install -d "$library" "$units/docker.service.d" "$root/etc/docker"
cp -R ../../dist/. restart-dockerd "$library/"
install -m 0644 dockerd-tls.service dockerd-tls.timer "$units/"
install -m 0644 listen.conf "$units/docker.service.d/"
install -D -m 0600 "$kubeconfig" "$root/etc/mtls-operator/dockerd.kubeconfig"
if [ -e "$root/etc/docker/daemon.json" ]; then
  echo "$root/etc/docker/daemon.json stays as it is: it needs what stands in $PWD/daemon.json" >&2
else
  install -m 0644 daemon.json "$root/etc/docker/"
fi
