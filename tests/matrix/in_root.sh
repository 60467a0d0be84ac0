#!/bin/bash
# in_root.sh ROOT COMMAND...
#
# Runs COMMAND inside a root that make_root.sh made. This repository and /tmp are there under their own paths, so that
# a test names files as it does outside. The mounts live in a name space of their own and are gone with the command.
set -euo pipefail

if [ -z "${MEMTRACE_IN_NAMESPACE:-}" ]; then
    MEMTRACE_IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
unset MEMTRACE_IN_NAMESPACE

root=$(realpath "$1")
shift
repository=$(realpath "$(dirname "$0")/../..")

mount --bind "$root" "$root"
mkdir -p "$root$repository"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /tmp "$root/tmp"
mount --bind "$repository" "$root$repository"
exec chroot "$root" "$@"
