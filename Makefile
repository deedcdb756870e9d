# Everything that people and CI do with this project. Each target says what it needs before it starts.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
ENVIRONMENT := environment="$$(scripts/environment)"; eval "$$environment"
EXAMPLE := examples/movielens-100k
# What needs Go or Kubernetes.
CLUSTER_TESTS := --test cluster --test cronjob --test robfig
# Tests that wait for each other's nodes take threads, not cores.
RUN_CLUSTER := cargo test --workspace --test cluster -- --test-threads 4
# Those of the processes wait for half of their time, and so do those of the cluster.
RUN_OTHERS := cargo test --workspace --all-targets -- --test-threads 2; cargo test --workspace --doc
RUN_CRON := cargo test --workspace --test cronjob --test robfig

.PHONY: help build demo test test-cluster test-deep cluster lint generate docs deny

help: ## Shows this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The whole workspace, as the tests build it: of some packages alone, dependencies would be compiled anew.
build: tools ## Builds `teasel`, `teasel-worker` and the other programs.
	@$(ENVIRONMENT); cargo build --workspace --bins

demo: build ## Trains on MovieLens-100k with two workers and publishes for two tenants.
	@scripts/movielens-100k
	@$(ENVIRONMENT); "$$CARGO_TARGET_DIR/debug/teasel" run $(EXAMPLE)/job.yaml

test: tools cluster-tools lint deny ## Runs everything that checks the project.
	@scripts/movielens-100k
	@scripts/seaweedfs > /dev/null
	@scripts/chromium > /dev/null
	@scripts/tensorboard > /dev/null
	@$(ENVIRONMENT); cargo build --workspace --all-targets
	@$(MAKE) --no-print-directory cluster-tests
	@$(ENVIRONMENT); scripts/side-by-side "$(RUN_OTHERS)" "$(RUN_CLUSTER)" "nice $(RUN_CRON)"

test-cluster: tools cluster-tools cluster-tests ## Runs the tests that need Go or Kubernetes alone, on a cluster that they start (its build takes ten minutes, once).
	@$(ENVIRONMENT); scripts/side-by-side "$(RUN_CLUSTER)" "nice $(RUN_CRON)"

cluster-tests:
	@scripts/kube > /dev/null
	@scripts/helm > /dev/null
	@$(ENVIRONMENT); \
	cargo clippy --workspace $(CLUSTER_TESTS) -- -D warnings; \
	cargo build --workspace --bins $(CLUSTER_TESTS)

test-deep: tools cluster-tools cluster-tests ## Tries whole what `make test` tries a part of: every fault, every crash point, 1,000 mutants (for hours).
	@$(ENVIRONMENT); export TEASEL_TEST_DEEP=1; \
	cargo test --workspace --test cluster --test mutants -- --nocapture crashes faults mutants whatever; \
	cargo test --workspace --test cluster -- --nocapture --ignored five_hundred_tenants

cluster: tools cluster-tools ## Runs a Kubernetes cluster until Ctrl-C: with two nodes for root, with two fake ones for others.
	@if [ "$$(id -u)" = 0 ]; then tests/cluster/cluster --nodes 2; else tests/cluster/cluster --fake-nodes 2; fi

lint: tools ## Checks format, lints, documentation, generated files and the chart.
	@$(ENVIRONMENT); \
	cargo fmt --all --check; \
	cargo clippy --workspace --all-targets -- -D warnings; \
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items; \
	cargo run --quiet -p teasel-api --bin teasel-api-generate -- --check
	@scripts/check-chart

generate: tools ## Writes the generated files: crds/, the chart's copy of it, and docs/reference/.
	@$(ENVIRONMENT); cargo run --quiet -p teasel-api --bin teasel-api-generate

deny: tools ## Checks licences, duplicate versions and sources of dependencies.
	@$(ENVIRONMENT); "$$(scripts/cargo-deny)" --workspace check licenses bans sources

tools:
	@scripts/tools

cluster-tools:
	@scripts/cluster-packages
.PHONY: tools cluster-tools cluster-tests
