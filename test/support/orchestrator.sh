#!/bin/sh
# Runs a command, such as vitest, where it may have a network of machines: in namespaces of its own for network, mounts and
# processes. Nothing in there reaches any other network, and however the command or this script ends, the kernel ends with it all
# that was started in there. Without root, or without the tools, the command runs as it would have anyway.
set -eu

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" -eq 0 ] || exec "$@"
  for tool in setpriv unshare nsenter ip nft; do command -v "$tool" >/dev/null || exec "$@"; done
  set -- --net --mount --pid --fork --kill-child=KILL --mount-proc -- sh "$0" --inside "$@"
  setpriv --pdeathsig KILL unshare "$@" &
  inside=$!
  trap 'kill -KILL "$inside"' INT TERM HUP
  wait "$inside"
  exit
fi
shift

ip link set lo up
# The disks of machines are layers over the root directory, so they cannot lie in it.
export TMPDIR=/run/fleetbeat-test FLEETBEAT_ORCHESTRATOR=1
mkdir -p "$TMPDIR"
mount -t tmpfs -o mode=1777 tmpfs "$TMPDIR"
# Not by exec: this shell is the first process in here, and reaps the orphans.
"$@"
exit
