#!/usr/bin/env bash
# The standard set of loads against the cluster that SQUALL_SERVER names: YCSB's workloads A to F, and one of counters, beside
# JetStream and Redis, DAGs at a fixed rate, and what the generator itself can do. dev.sh and compose.sh call it; SQUALL is the program.
#
#   RECORDS=100000 DURATION=30s WARMUP=15s THREADS=32 REPEAT=3 RESULTS=results scripts/load/standard.sh
#
# REDIS is host:port of a Redis server, and HTTP the URL of a gateway, which are then measured too; JETSTREAM=no leaves the bare
# bucket out, for whom the servers let make no streams. WASM=internal/load/ops registers the functions at the cluster's
# executors, for whose credentials make no executor; else the command starts one. PIDS (name=PID,…) are processes whose CPU time
# counts. DURABILITY and REPLICAS say what the servers were set up for: they are part of the names of cases. Each table ends with
# the ratios (docs/benchmarks.md).
set -euo pipefail
cd "$(dirname "$0")/../.."

squall=${SQUALL:-bin/squall}
records=${RECORDS:-10000}
duration=${DURATION:-10s}
threads=${THREADS:-16}
repeat=${REPEAT:-1}
warmup=${WARMUP:-1s}
rate=${RATE:-100}
replicas=${REPLICAS:-1}
results=${RESULTS:-results}
workloads=${WORKLOADS-a b c d e f counters}
dags=${DAGS-chain fanout diamond}

targets=squall
[ "${JETSTREAM:-yes}" = no ] || targets=$targets,jetstream,jetstream-blind
targets=$targets,functions:1,functions:10,functions:100
[ -z "${HTTP:-}" ] || targets=$targets,http
[ -z "${REDIS:-}" ] || targets=$targets,redis,redis:100
targets=${TARGETS:-$targets}

common=(--threads "$threads" --duration "$duration" --warmup "$warmup" --durability "${DURABILITY:-durable}-R$replicas" --replicas "$replicas")
[ -z "${REDIS:-}" ] || common+=(--redis "$REDIS")
[ -z "${HTTP:-}" ] || common+=(--http "$HTTP")
[ -z "${WASM:-}" ] || common+=(--wasm "$WASM")
[ -z "${PIDS:-}" ] || common+=(--pid "$PIDS")
mkdir -p "$results"

echo "== the generator" >&2
"$squall" bench ycsb run -P examples/ycsb/workloads/workloadc -p "recordcount=$records" --threads "$threads" --duration "$duration" \
  --target null --save "$results/null.json"

for w in $workloads; do
  echo "== workload $w" >&2
  "$squall" bench ycsb -P "examples/ycsb/workloads/workload$w" -p "recordcount=$records" "${common[@]}" --repeat "$repeat" \
    --integrity --target "$targets" --save "$results/workload$w.json" --plots "$results/workload$w"
done

for d in $dags; do
  echo "== DAG $d" >&2
  "$squall" bench ycsb -P "examples/ycsb/workloads/dag-$d" -p "recordcount=$records" "${common[@]}" \
    --integrity --rate "$rate" --target functions --save "$results/dag-$d.json" --plots "$results/dag-$d"
done
echo "results are in $results" >&2
