#!/usr/bin/env bash
# The standard set of loads against 'squall dev', which it starts on free ports and ends again, and beside it against a
# redis-server, where one is installed.
#
#   DURATION=10s scripts/load/dev.sh
#   RECORDS=100000 THREADS=32 DURATION=30s WARMUP=15s REPEAT=3 WORKLOADS="a b c f" DAGS= scripts/load/dev.sh    # the README's figures
set -euo pipefail
cd "$(dirname "$0")/../.."

go build -o bin/squall ./cmd/squall
dir=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap finish EXIT
export DURABILITY=${DURABILITY:-durable}

./bin/squall dev -o json --listen 127.0.0.1:0 --http 127.0.0.1:0 --data "$dir/dev" --durability "$DURABILITY" >"$dir/up" &
dev=$!
pids+=("$dev")
for _ in $(seq 100); do
  [ -s "$dir/up" ] && break
  kill -0 "$dev" 2>/dev/null || { echo "squall dev has ended: see above" >&2; exit 1; }
  sleep 0.1
done
SQUALL_SERVER=$(sed -n 's/.*"nats": *"\([^"]*\)".*/\1/p' "$dir/up")
HTTP=$(sed -n 's/.*"http": *"\([^"]*\)".*/\1/p' "$dir/up")
export SQUALL_SERVER HTTP PIDS="dev=$dev"

# redis keeps nothing on disk, as what a cache has acknowledged is not there yet either; REDIS_ARGS="--appendonly yes" does.
if [ -z "${REDIS:-}" ] && command -v redis-server >/dev/null; then
  for _ in $(seq 10); do
    port=$((20000 + RANDOM % 12000))
    # shellcheck disable=SC2086 # several words
    redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save "" --appendonly no ${REDIS_ARGS:-} >"$dir/redis.log" 2>&1 &
    redis=$!
    for _ in $(seq 50); do
      grep -q "Ready to accept" "$dir/redis.log" && break
      kill -0 "$redis" 2>/dev/null || break # the port is taken
      sleep 0.1
    done
    kill -0 "$redis" 2>/dev/null || continue
    pids+=("$redis")
    export REDIS=127.0.0.1:$port PIDS="$PIDS,redis=$redis"
    break
  done
fi
[ -n "${REDIS:-}" ] || echo "no Redis: install redis-server, or name one by REDIS=host:port, to have it beside Squall" >&2

SQUALL=bin/squall scripts/load/standard.sh
