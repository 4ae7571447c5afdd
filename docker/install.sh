#!/usr/bin/env bash
# Installs CloudFilm on a fresh Debian 12+ or Ubuntu 24.04+: the apt line of the README, then `make install`.
# Run by docker/Dockerfile and, in a debootstrap folder, by `make fresh`.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git make python3-venv ca-certificates >/dev/null
fi
make install
