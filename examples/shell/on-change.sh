#!/bin/sh
# Runs a command whenever the kubelet has put other files into the directory where a Secret is mounted:
#
#     sh on-change.sh /var/run/mtls nginx -s reload
#
# The kubelet writes a new directory and then points the link ..data to it; the files themselves never change, so that watching one of them sees
# nothing. One look a second costs nothing and works on every file system. A command that fails is run again until it succeeds. It is run at the
# beginning, too: what the program has read when it started may be older. Ends when the program that started it has ended.
set -u
if [ $# -lt 2 ]; then
  echo "usage: sh on-change.sh DIRECTORY COMMAND [ARGUMENT...]" >&2
  exit 2
fi
directory=$1
shift
loaded=
while sleep 1; do
  # 0: started by the container's runtime, from outside.
  [ "$PPID" -eq 0 ] || [ -e "/proc/$PPID" ] || exit 0
  # Looked at before the command runs: what comes while it runs is seen next time.
  now=$(readlink "$directory/..data") || continue
  [ "$now" = "$loaded" ] && continue
  if "$@"; then
    echo "on-change: done for $now: $*"
    loaded=$now
  else
    echo "on-change: failed for $now: $*" >&2
  fi
done
