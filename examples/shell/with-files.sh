#!/bin/sh
# Runs a command with the files of a mounted Secret, all of one moment: /dev/fd/3 is tls.crt, /dev/fd/4 is tls.key, /dev/fd/5 is ca.crt.
#
#     sh with-files.sh /var/run/mtls curl --cert /dev/fd/3 --key /dev/fd/4 --cacert /dev/fd/5 https://web.shop.svc:8443/
#
# A program that opens tls.crt and tls.key one after the other may get the certificate from before a renewal and the key from after it, since the
# kubelet replaces all files at once. Here they are opened in the directory of one version, and stay what they are however often they
# are read. No copy of the key is made.
set -u
if [ $# -lt 2 ]; then
  echo "usage: sh with-files.sh DIRECTORY COMMAND [ARGUMENT...]" >&2
  exit 2
fi
directory=$1
shift
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  version=$directory
  if link=$(readlink "$directory/..data"); then version=$directory/$link; fi
  # If a file cannot be opened, that version has just been removed: then there is a newer one. Only the command writes to stderr.
  { { exec "$@" 2>&6 6>&-; } 3<"$version/tls.crt" 4<"$version/tls.key" 5<"$version/ca.crt"; } 6>&2 2>/dev/null
  sleep 0.2
done
for name in tls.crt tls.key ca.crt; do
  [ -r "$directory/$name" ] || echo "with-files: cannot read $directory/$name" >&2
done
exit 1
