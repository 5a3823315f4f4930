# SPDX-License-Identifier: Apache-2.0
# Every target is a script or a tool of .venv; each does its own set-up and may be repeated. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run stop cluster cluster-stop chaos test test-fast test-scenarios lint format bench bench-fleet moving-storm pods-storm clean

PYTHON_SCRIPTS := scripts/build-image scripts/check-size

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: ## Set everything up, start the service on 127.0.0.1:9517, run a first container (ENGINE=docker|containerd, NETWORKS=engine|cni)
	@ENGINE="$(ENGINE)" NETWORKS="$(NETWORKS)" scripts/run

stop: ## Stop the service; containers run on
	@scripts/stop

cluster: ## Bring up a cluster on this machine: etcd, API, controllers and nodes in namespaces of their own
	@scripts/cluster up

cluster-stop: ## Remove the cluster with its containers and its state
	@scripts/cluster down

chaos: ## Let accidents happen to a cluster under load, and judge: SEED=1 ROUNDS=4, SEEDS=20 (one after the other), RUNTIME=docker or fake
	@scripts/chaos --seed $(or $(SEED),1) --rounds $(or $(ROUNDS),4) --seeds $(or $(SEEDS),1) --runtime $(or $(RUNTIME),docker)

test: ## Run the tests: sets up Docker, containerd, the local images, etcd, networks, Keystone and the clients, 15 minutes at most
	@scripts/test --at-once 2 etcd fast docker containerd network compat crash keystone

test-scenarios: ## Run what happens on many machines: a cluster whose parts are killed, a fleet of a thousand nodes
	@scripts/test cluster fleet

test-fast: ## Run the tests that need no Docker, etcd, network, Keystone or foreign client
	@scripts/test fast

lint: ## Check style, types, layers and sizes
	@scripts/setup-venv
	@echo "==> ruff check" && .venv/bin/ruff check . $(PYTHON_SCRIPTS)
	@echo "==> ruff format" && .venv/bin/ruff format --check . $(PYTHON_SCRIPTS)
	@echo "==> mypy" && .venv/bin/mypy && .venv/bin/mypy --scripts-are-modules scripts/*.py scripts/lab $(PYTHON_SCRIPTS)
	@echo "==> import contracts" && .venv/bin/lint-imports --no-logo --cache-dir .cache/import-linter
	@echo "==> sizes" && scripts/check-size

format: ## Put the source into the house's format
	@scripts/setup-venv
	@.venv/bin/ruff check --fix . $(PYTHON_SCRIPTS) && .venv/bin/ruff format . $(PYTHON_SCRIPTS)

bench: ## Measure, print a table and write docs/benchmarks.md
	@scripts/setup-venv && scripts/ensure-docker && scripts/build-image && scripts/ensure-etcd && scripts/ensure-containerd --programs && scripts/ensure-network
	@.venv/bin/python -m benchmarks

bench-fleet: ## Measure a fleet of 5,000 simulated nodes with 100,000 containers and write docs/benchmarks-fleet.md
	@scripts/setup-venv && scripts/ensure-etcd
	@.venv/bin/python -m benchmarks.fleet $(FLEET)

moving-storm: ## Let everything happen to a made-up cloud whose containers move: ROUNDS=500 programs of accidents
	@scripts/setup-venv
	@ZUN_MOVING_ROUNDS=$(or $(ROUNDS),500) ZUN_MOVING_STEPS=60 .venv/bin/python -m pytest tests/moving/test_random.py -q

pods-storm: ## Let capsules come and go, 8 at a time, while processes are killed: PODS=100, SEED=7, ENGINE=containerd or docker, NETWORK=engine or cni
	@scripts/pods-storm --pods $(or $(PODS),100) --engine $(or $(ENGINE),containerd) --network $(or $(NETWORK),engine) $(if $(SEED),--seed $(SEED))

clean: ## Stop the service and delete its containers, its state and this checkout's environments
	@scripts/clean
