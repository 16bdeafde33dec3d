# Copyright 2026 The viam_session_bridge authors
# SPDX-License-Identifier: Apache-2.0

# Which Python makes the environments (default: the first suitable one), what a target's program
# and pytest are told besides.
PYTHON ?=
ARGS ?=
RUN_ARGS ?= --run
PYTEST_ARGS ?=
IN_THREES := -n 3 --dist loadfile --no-loadscope-reorder
# See test/support/bounds.py and test/conftest.py.
AGAIN := --reruns 1
# A run of all tests that finds few of them fails.
at-least = $(if $(PYTEST_ARGS),,$(if $(filter file,$(origin UNIT)),--at-least $(1)))
UNIT := test/e2e test/campaigns/chaos test/integration test/unit test/rules

# Absolute for programs that change their directory.
BIN := $(CURDIR)/.venv/bin
DEMO = $(BIN)/python -m viam_session_bridge.tools.demo

# The wheels carry one middleware; a ROS installation's is the user's choice.
ifndef ROS_DISTRO
export RMW_IMPLEMENTATION := rmw_fastrtps_cpp
endif

# The wheels' environments must not see a ROS installation, nor each other.
ALONE := env -u PYTHONPATH -u AMENT_PREFIX_PATH -u LD_LIBRARY_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DEFAULT_GOAL := help
.PHONY: help venv demo run test lint types unit test-pythons test-oldest test-newest test-jazzy fuzz chaos bench model model-checker mutants load soak reference licences lock viam-server clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: ## make .venv from the pinned requirements, or leave it when it is up to date
	@PYTHON='$(PYTHON)' scripts/venv .venv

demo run unit test-jazzy chaos: export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

demo: venv ## watch the bridge stop a simulated base when its publisher dies (ARGS=...)
	@$(DEMO) $(ARGS)

run: venv ## the bridge with a simulated machine, for your own publishers (ARGS=...)
	@$(DEMO) $(RUN_ARGS) $(ARGS)

# The build of viam-server takes one core for some minutes the first time: the rest has the other.
test: ## everything that CI runs
	@$(MAKE) --no-print-directory -j 2 viam-server lint types model-checker test-pythons
	@$(MAKE) --no-print-directory unit

lint: venv ## ruff: style and likely mistakes
	$(BIN)/ruff check .

types: venv ## mypy, strict
	$(BIN)/mypy

viam-server: venv
	$(BIN)/python test/support/go_build.py

# Most tests wait most of the time, so three files run at once, those that wait longest first;
# differential ones want no company.
unit: viam-server ## the tests, with the real viam-server (PYTEST_ARGS='-k lapse')
	$(BIN)/python -m pytest $(IN_THREES) $(AGAIN) $(UNIT) $(call at-least,2400) $(PYTEST_ARGS)
ifeq ($(origin UNIT),file)
	$(BIN)/python -m pytest test/campaigns/differential $(AGAIN) $(PYTEST_ARGS) || test $$? = 5  # none chosen
endif

test-pythons: test-oldest test-newest ## what needs no ROS, with the oldest and the newest Python and dependencies

test-oldest test-newest: test-%:
	@PYTHON='$(PYTHON)' scripts/venv .venv-$*
	$(ALONE) .venv-$*/bin/python -m pytest -q test/rules test/unit --ignore-glob='*_model.py' \
	  --ignore=test/rules/test_r09_takeover_points.py $(AGAIN) $(call at-least,2000) $(PYTEST_ARGS)

test-jazzy: viam-server ## the tests on ROS 2 Jazzy, with the oldest grpcio and protobuf
	@PYTHON='$(PYTHON)' scripts/venv .venv-jazzy
	$(ALONE) RMW_IMPLEMENTATION=rmw_fastrtps_cpp \
	  $(CURDIR)/.venv-jazzy/bin/python -m pytest $(IN_THREES) $(AGAIN) $(UNIT) $(call at-least,2800) $(PYTEST_ARGS)

model-checker:
	@{ command -v spin && command -v gcc; } >/dev/null || { test "$$(id -u)" = 0 \
	  && echo 'installing spin, which checks the stop protocol' && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y spin gcc libc6-dev; } \
	  || echo 'no spin: apt-get install spin gcc libc6-dev, or the stop protocol is not checked'

model: model-checker ## the stop protocol, checked exhaustively (two minutes)
	docs/model/check --full

fuzz: viam-server ## random scripts against every implementation (ARGS='--seed 7 --count 4000')
	PYTHONPATH=$(CURDIR):$(CURDIR)/test GRPC_ENABLE_FORK_SUPPORT=false \
	  $(BIN)/python -m campaigns.differential $(ARGS)

chaos: viam-server ## faults drawn from a seed, judged by the base's record (ARGS='--seed 7 --base-takes 0.4')
	PYTHONPATH=$(CURDIR):$(CURDIR)/test GRPC_ENABLE_FORK_SUPPORT=false \
	  $(BIN)/python -m campaigns.chaos $(ARGS)

reference: venv ## write the generated pages of docs/reference
	@PYTHONPATH=$(CURDIR) $(BIN)/python scripts/reference.py

licences: venv ## the licence of every dependency
	@$(BIN)/python scripts/licences.py

lock: ## write the hashes of requirements/*.in
	@PYTHON='$(PYTHON)' scripts/lock

load: viam-server ## many publishers and bases: stops, signs of life (ARGS='--quick')
	$(BIN)/python -m bench load $(ARGS)

soak: viam-server ## 100,000 sessions and a million commands: memory, threads and files stay (ARGS='--quick')
	$(BIN)/python -m bench soak $(ARGS)

mutants: ## change what decides in 3700 ways: the tests must notice (ten minutes)
	@PYTHON='$(PYTHON)' scripts/venv .venv-mutants
	rm -rf mutants
	$(ALONE) .venv-mutants/bin/python scripts/mutants.py

bench: viam-server ## what a command costs, stops, growth, start; goals (ARGS='--quick --other DIR'); on an idle machine
	$(BIN)/python -m bench $(ARGS)

clean: ## remove environments, caches and what building left
	rm -rf .venv .venv-jazzy .venv-oldest .venv-newest .venv-mutants .venv-lock .venv*.lock mutants build install log *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
