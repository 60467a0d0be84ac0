#!/bin/bash
# make_root.sh SUITE DIRECTORY PACKAGE...
#
# Unpacks packages of a Debian suite, and all they depend on, into DIRECTORY: a root for chroot, with interpreters and
# debuggers that this machine does not have. apt works out the dependencies as for an empty system; nothing is
# configured, no maintainer script runs, and the machine itself is not touched. The mirror is the one that this
# system's apt uses. DIRECTORY/.complete lists what was unpacked; when it names the same request, there is nothing to
# do.
set -euo pipefail

suite=$1 root=$2
shift 2
request="$suite $*"

if [ -f "$root/.complete" ] && [ "$(head -n 1 "$root/.complete")" = "$request" ]; then
    exit 0
fi

mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 -E '/debian/?$') || {
    echo "make_root.sh: apt is not configured with a Debian mirror" >&2
    exit 1
}

rm -rf "$root"
state=$root/.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
echo "deb $mirror $suite main" > "$state/sources.list"
apt() {
    apt-get -qq -y -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        -o Debug::NoLocking=1 "$@"
}
apt update
apt install --download-only "$@" > /dev/null

# Merged /usr, as the packages expect it.
mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc/ld.so.conf.d,tmp,proc,dev,work}
for directory in bin sbin lib lib64; do
    ln -s "usr/$directory" "$root/$directory"
done
for package in "$state"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
done

# numpy's blas and lapack are alternatives that a maintainer script would have set.
printf '%s\n' /usr/lib/x86_64-linux-gnu/{blas,lapack} > "$root/etc/ld.so.conf.d/blas.conf"
[ -f "$root/etc/ld.so.conf" ] || echo 'include /etc/ld.so.conf.d/*.conf' > "$root/etc/ld.so.conf"
ldconfig -r "$root"

{
    echo "$request"
    basename -a "$state"/cache/archives/*.deb
} > "$root/.complete.tmp"
rm -rf "$state"
mv "$root/.complete.tmp" "$root/.complete"
