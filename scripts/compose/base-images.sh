#!/usr/bin/env bash
# Sees to it that the images that docker-compose.yml and the Dockerfile stand on are there: from their registry, or where
# none can be reached, made of what this host has: its Go tools with a shell of busybox, and Debian's Prometheus.
#
#   scripts/compose/base-images.sh
set -euo pipefail

go_image=${GO_IMAGE:-golang:1.26}
prometheus_image=${PROMETHEUS_IMAGE:-prom/prometheus:v3.5.0}

have() {
  docker image inspect "$1" >/dev/null 2>&1 || timeout 120 docker pull -q "$1" >/dev/null 2>&1
}

root=$(mktemp -d)
trap 'rm -rf "$root" "$root.packages"' EXIT

# unpacked gives the path of a program: the host's, or that of Debian's package, which is unpacked and not installed, so
# that nothing of it is started here.
unpacked() {
  command -v "$1" 2>/dev/null && return
  mkdir -p "$root.packages"
  (
    cd "$root.packages"
    apt-get download -q "$2" >&2 || { sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo; $sudo apt-get update -qq >&2 && apt-get download -q "$2" >&2; }
    dpkg-deb -x "$2"_*.deb . >&2
  )
  find "$root.packages" -type f -name "$1" -perm -u+x | grep -m 1 bin/
}

# with copies a program into $root, with the libraries that it loads.
with() {
  local path
  path=$(unpacked "$1" "$2")
  path=$(readlink -f "$path")
  mkdir -p "$root/bin"
  cp "$path" "$root/bin/$1"
  # A static program has none.
  { ldd "$path" 2>/dev/null | grep -oE '/[^ ]+' || true; } | while read -r lib; do
    mkdir -p "$root$(dirname "$lib")"
    cp -L "$lib" "$root$lib"
  done
}

certificates() {
  mkdir -p "$root/etc/ssl/certs" "$root/tmp"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

if ! have "$go_image"; then
  echo "$go_image cannot be pulled: it is made of this host's Go tools"
  with busybox busybox-static
  for tool in sh mkdir cp rm ls cat chmod; do ln -s busybox "$root/bin/$tool"; done
  certificates
  goroot=$(go env GOROOT)
  # Only what this machine's own settings of Go say is handed on: where modules come from.
  tar -C "$root" -c . --transform "s,^${goroot#/},usr/local/go," -C / "${goroot#/}" |
    docker import -c 'ENV PATH=/usr/local/go/bin:/bin' -c 'ENV GOPATH=/go' -c 'ENV GOTOOLCHAIN=local' \
      -c "ENV GOPROXY=$(go env GOPROXY)" -c "ENV GOSUMDB=$(go env GOSUMDB)" - "$go_image" >/dev/null
  rm -rf "${root:?}"/*
fi

if ! have "$prometheus_image"; then
  echo "$prometheus_image cannot be pulled: it is made of Debian's package"
  with prometheus prometheus
  certificates
  tar -C "$root" -c . | docker import -c 'ENTRYPOINT ["/bin/prometheus"]' - "$prometheus_image" >/dev/null
fi
