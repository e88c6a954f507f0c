#!/bin/sh
# Runs both containers on a bridge network of their own. Each finds its files in /var/run/mtls: the folder, not single files, is mounted, so that a renewal reaches it.
#   mtls-operator fetch --namespace containers --secret greeter-mtls --out DIR/greeter --owner 65532:65532
#   mtls-operator fetch --namespace containers --secret visitor-mtls --out DIR/visitor --owner 65532:65532
#   sh docker.sh DIR
set -eu
directory=$1

docker network create greetings
docker run --detach --name greeter --network greetings --read-only --cap-drop ALL \
  --volume "$directory/greeter:/var/run/mtls:ro" localhost/greetings /server
docker run --detach --name visitor --network greetings --read-only --cap-drop ALL \
  --volume "$directory/visitor:/var/run/mtls:ro" localhost/greetings /client -connect greeter:8443
