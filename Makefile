# make help lists what there is.
GOLANGCI_VERSION := v2.15.0
BIN              := $(CURDIR)/bin
FUZZTIME         ?= 4s

.PHONY: help tools fmt check lint build test race fuzz bench-once bench soak clean

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
	go mod tidy -diff
	$(BIN)/golangci-lint run --allow-parallel-runners ./...

lint: tools check ## the same, installing the linter first

build: ## build everything, and what guests import for wasip1
	go build ./...
	GOOS=wasip1 GOARCH=wasm go build ./value ./fault ./fn

test: ## the tests
	go test ./...

race: ## the tests under the race detector
	GOFLAGS=-race go test -timeout 20m ./...

fuzz: ## fuzz every target for FUZZTIME
	@set -e; for pkg in $$(git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$pkg/*_test.go | sed 's/func //' | sort -u); do \
	    echo "-- $$pkg $$target"; go test ./$$pkg -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ; \
	  done; done

bench-once: ## run every Go benchmark once, and squall bench in its short form
	go test -run '^$$' -bench . -benchtime 1x ./...
	go run ./cmd/squall bench compose --quick -o table

bench: ## the composition benchmark, in full
	go run ./cmd/squall bench compose -o table

soak: ## random faults over random calls, for ten minutes
	SQUALL_SOAK=10m go test ./internal/cluster -run TestSoak -timeout 15m -v

clean: ## remove what make made
	rm -rf $(BIN)
