#!/usr/bin/env bash
# `make fresh`: shows that the README's commands work on a clean Debian, in a debootstrap folder.
# Mirrors, certificates and pip and npm settings are taken from this machine's own configuration and written
# nowhere but into that folder, which is removed at the end (KEEP=1 keeps it).
# Needs root, debootstrap and a Debian-like host.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "make fresh needs root (debootstrap, chroot)"; exit 2; }
command -v debootstrap >/dev/null || { echo "make fresh needs debootstrap"; exit 2; }
suite=${SUITE:-bookworm}
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/cloudfilm-fresh-XXXXXX")
mounts=()
chmod 755 "$folder"
run_pid=

finish() {
  [ -z "$run_pid" ] || { kill -TERM -- "-$run_pid" 2>/dev/null || true; wait "$run_pid" 2>/dev/null || true; }
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do umount -l "${mounts[$i]}" || true; done
  if [ -z "${KEEP:-}" ]; then rm -rf --one-file-system "$folder"; else echo "kept: $folder"; fi
}
trap finish EXIT

bind() { # source, options
  mkdir -p "$folder$1"
  mount --rbind "$1" "$folder$1"
  mounts+=("$folder$1")
  mount --make-rslave "$folder$1"
  [ -z "${2:-}" ] || mount -o "remount,bind,$2" "$folder$1"
}
copy() { # an existing file or folder, same path
  [ -e "$1" ] || return 0
  mkdir -p "$folder$(dirname "$1")"
  cp -aL --remove-destination "$1" "$folder$(dirname "$1")/"
}

mirror=$(grep -rhoE '(^URIs: |^deb (\[[^]]*\] )?)[a-z]+://[^ ]+/debian/?' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null \
  | grep -oE '[a-z]+://.*' | head -n 1 || true)
[ -n "$mirror" ] || { echo "no Debian mirror in this machine's apt configuration"; exit 2; }

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
step "debootstrap $suite"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$folder" "$mirror" >"$folder.log" 2>&1 || { tail -n 20 "$folder.log"; exit 1; }
rm -f "$folder.log"

step "this machine's settings"
copy /etc/resolv.conf; copy /etc/hosts; copy /etc/ssl/certs/ca-certificates.crt; copy /usr/local/share/ca-certificates
copy /etc/pip.conf; copy /etc/xdg/pip; copy "$HOME/.config/pip"; copy "$HOME/.npmrc"
if command -v npm >/dev/null; then copy "$(npm config get globalconfig 2>/dev/null)"; fi
apt-config dump Acquire 2>/dev/null | grep -E 'Proxy|CAInfo|CAPath' >"$folder/etc/apt/apt.conf.d/90host" || true
# Folders that pip's settings name on this machine; an index of files refers to its neighbours.
while read -r path; do [ ! -d "$path" ] || bind "$path" ro; done < <(
  { python3 -m pip config list 2>/dev/null; env | grep '^PIP_' || true; } | grep -oE "(file://)?/[^ '\"]+" \
    | sed -E 's#^file://(.*)/[^/]+/?$#\1#' | sort -u)
bind /proc; bind /dev
keep=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
while IFS= read -r line; do keep+=("$line"); done < <(
  env | grep -iE '^(PIP_|npm_config_|NODE_EXTRA_CA_CERTS|SSL_CERT|REQUESTS_CA|CURL_CA|https?_proxy|no_proxy)' || true)
inside() { env -i "${keep[@]}" "$@"; }

step "the project as a clone would have it"
mkdir -p "$folder/opt/cloudfilm"
git -C "$top" archive HEAD | tar -x -C "$folder/opt/cloudfilm"

step "the README's apt line and make install"
inside chroot "$folder" bash /opt/cloudfilm/docker/install.sh

step "make run"
# A session of its own, so that the whole of it gets the signal, as from a terminal.
(exec env -i "${keep[@]}" CLOUDFILM_HOME=/var/lib/cloudfilm CLOUDFILM_HTTP=127.0.0.1:18080 CLOUDFILM_DICOM=127.0.0.1:18112 \
  setsid chroot "$folder" make -C /opt/cloudfilm run) >"$folder/var/log/run.log" 2>&1 &
run_pid=$!
for _ in $(seq 600); do
  grep -q '/s/' "$folder/var/log/run.log" && break
  kill -0 "$run_pid" 2>/dev/null || break
  sleep 1
done
tail -n 60 "$folder/var/log/run.log"
grep -q '/s/' "$folder/var/log/run.log" || { echo "make run printed no share link"; exit 1; }
link=$(grep -oE 'https?://[^ ]+/s/[A-Za-z0-9_-]+' "$folder/var/log/run.log" | head -n 1)
curl --fail --silent --show-error --insecure --output /dev/null "$link"

step "Ctrl-C"
kill -INT -- "-$run_pid"
status=0; wait "$run_pid" || status=$?
run_pid=
if pgrep -f "$folder" >/dev/null 2>&1; then echo "something still runs"; exit 1; fi
[ "$status" -le 2 ] || [ "$status" = 130 ] || { echo "make run ended with $status"; exit 1; }
step "make run works on a fresh machine"
