# make help lists what there is.
GOLANGCI_VERSION := v2.15.0
BIN              := $(CURDIR)/bin
# A count of executions: go test reports "context deadline exceeded" as a failure now and then where -fuzztime is a duration.
FUZZTIME         ?= 50000x
SUITES           := compose cache locality consistency chain transfer sched fanout passing coded

.PHONY: help tools fmt check lint build test race compose-test check-long check-dags fuzz bench-once bench-quick bench soak soak-coded clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 16

tools: $(BIN)/golangci-lint ## install what check needs, at pinned versions

$(BIN)/golangci-lint:
	GOBIN=$(BIN) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

check: ## format, vet, module files, lint
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags compose ./internal/composetest
	go mod tidy -diff
	$(BIN)/golangci-lint run --allow-parallel-runners ./...

lint: tools check ## the same, installing the linter first

build: ## build everything, and what guests import for wasip1
	go build ./...
	GOOS=wasip1 GOARCH=wasm go build ./value ./fault ./internal/hlc ./kvs/lattice ./fn

test: ## the tests
	go test ./...

race: ## the tests under the race detector
	GOFLAGS=-race go test -timeout 20m ./...

compose-test: ## start docker-compose.yml, use it, harm it, and count what was lost (needs a Docker engine)
	go test -tags compose -count=1 -timeout 60m -v ./internal/composetest

check-long: ## 10,000 runs of each consistency level under faults; values of 1 GiB; ten million keys
	SQUALL_RUNS=10000 go test ./internal/check -run TestLevels -timeout 2h -v
	SQUALL_LONG=1 go test ./kvs/jetkv -run 'TestLargestValue|TestTenMillionKeys|TestFollowMany' -timeout 1h -v

check-dags: ## 1,000 random DAGs each without faults, with faults inside the retry budget, and beyond it
	SQUALL_DAGS=1000 go test ./internal/cluster -run TestRandomDAGs -timeout 20m -v

fuzz: ## fuzz every target for FUZZTIME executions
	@set -e; for pkg in $$(git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | sed 's/func //' | sort -u); do \
	    echo "-- $$pkg $$target"; go test ./$$pkg -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ; \
	  done; done

bench-once: ## run every Go benchmark once
	go test -run '^$$' -bench . -benchtime 1x $$(git grep -lE '^func Benchmark' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

bench-quick: ## squall bench in its short form
	@set -e; for suite in $(SUITES); do go run ./cmd/squall bench $$suite --quick -o table; done

bench: ## squall bench in full, some ten minutes
	@set -e; for suite in $(SUITES); do go run ./cmd/squall bench $$suite -o table; done

soak: ## random faults over random calls, for ten minutes
	SQUALL_SOAK=10m go test ./internal/cluster -run TestSoak -timeout 15m -v

soak-coded: ## objects in lent memory under kills, stops, wrong bytes and reclaims, for ten minutes
	SQUALL_CHAOS=10m go test ./cache/coded -run TestChaos -timeout 15m -v

clean: ## remove what make made
	rm -rf $(BIN)
