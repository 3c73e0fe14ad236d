#!/usr/bin/env bash
# The standard set of loads against the cluster of docker-compose.yml, which must be up, with a client's credentials.
#
#   docker compose up -d --build && scripts/load/compose.sh
#
# COMPOSE is the command with its flags, if it is not plain: COMPOSE="docker compose -p mine".
set -euo pipefail
cd "$(dirname "$0")/../.."

compose=${COMPOSE:-}
if [ -z "$compose" ]; then
  compose="docker compose"
  docker compose version >/dev/null 2>&1 || compose=docker-compose
fi
go build -o bin/squall ./cmd/squall
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
show() { $compose run --rm --no-deps -T cli auth show "/auth/$1" 2>"$dir/errors"; }
(umask 077 && show nkey >"$dir/nkey") || { cat "$dir/errors" >&2; echo "no credentials: is the cluster up? $compose up -d" >&2; exit 1; }
SQUALL_HTTP_TOKEN=$(show http.token)
export SQUALL_HTTP_TOKEN
export SQUALL_NKEY=$dir/nkey
export HTTP=http://127.0.0.1:${SQUALL_HTTP_PORT:-8080}
export SQUALL_SERVER=nats://127.0.0.1:${SQUALL_NATS_PORT:-4222},nats://127.0.0.1:${SQUALL_NATS_PORT_2:-4223},nats://127.0.0.1:${SQUALL_NATS_PORT_3:-4224}
# Who has a client's credentials can neither make streams, so there is no bare bucket to compare with, nor speak as an
# executor, so the functions go to the cluster's own, as WebAssembly.
export JETSTREAM=no REPLICAS=3 DURABILITY=durable WASM=internal/load/ops
SQUALL=bin/squall scripts/load/standard.sh
