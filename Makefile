# SPDX-License-Identifier: GPL-3.0-or-later
# Two commands matter to a newcomer: `make demo` and `make test`. `make help` lists the others.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

root := $(CURDIR)
lab := tests/lab/lab
build := $(root)/.build
venv := $(root)/.venv
stamps := $(build)/stamps
sources := git ls-files --cached --others --exclude-standard
# The newest Python on this machine that ansible-core 2.19 supports; PYTHON=... selects another.
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do python$$v -c 'import ensurepip' 2>/dev/null && echo python$$v && exit; done; echo python3)
PEC_VERSION ?= 5.4.37
SCENARIOS := default transfer services backup configure
SCENARIO ?= $(SCENARIOS)
SCALE ?= 0.1
dumps := $(wildcard tests/integration/test_dump*.py tests/integration/test_restore*.py tests/integration/test_backup*.py) tests/integration/test_database_peer.py tests/integration/test_transfer_database.py

export PATH := $(venv)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(build)/collections
export ANSIBLE_HOME := $(build)/ansible
export ANSIBLE_NOCOWS := 1
export LAB_BUILD_DIR := $(build)
export PEC_VERSION

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- prerequisites ------------------------------------------------------------------------------------------------

.PHONY: machine
machine: ## Install the distribution's packages that this machine lacks (root, Debian family)
	@$(lab) packages

$(stamps)/venv: requirements-test.txt | machine
	@echo "make: creating the Python environment .venv with $(PYTHON) (half a minute)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or newer is required, and $(PYTHON) is " + sys.version.split()[0] + "; install one (apt-get install python3.11-venv) and run make again")'
	$(PYTHON) -m venv --clear $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-test.txt
	mkdir -p $(@D) && touch $@

.PHONY: collections
collections: # Ansible uses the working tree itself, not a copy
	@mkdir -p $(build)/collections/ansible_collections/esus
	ln -sfn $(root) $(build)/collections/ansible_collections/esus/pec

.PHONY: setup
setup: machine $(stamps)/venv collections

.PHONY: stand-in
stand-in: machine ## Build the stand-in's installer; PEC_VERSION=5.4.37 selects its version
	@tests/stand_in/build $(PEC_VERSION)

.PHONY: images
images: machine ## Build the images of the test servers
	@$(lab) image debian12 && $(lab) image debian13

# --- to try it ----------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup stand-in ## Install, back up and restore PEC (the stand-in) in a container, as on a real server
	@tests/lab/demo up

.PHONY: demo-down
demo-down: ## Remove the demo's container and secrets
	@tests/lab/demo down

.PHONY: shell
shell: setup ## Open a shell in which ansible finds this collection and the demo's server
	@ANSIBLE_INVENTORY=$(root)/tests/lab/demo.yml bash --norc

# --- tests --------------------------------------------------------------------------------------------------------

.PHONY: test
test: setup ## Run every target from lint to molecule; a table and the slowest tests at the end
	@tests/lab/steps 3 integration-dumps integration-servers $(SCENARIOS:%=molecule-%) playbooks sanity unit lint package versions

.PHONY: lint
lint: setup ## Run ruff, mypy, import-linter, bandit, ansible-lint, shellcheck, antsibull-changelog
	@ruff check . && ruff format --check .
	cd $(build)/collections && mypy --config-file $(root)/pyproject.toml -p ansible_collections.esus.pec.plugins.modules -p ansible_collections.esus.pec.plugins.module_utils -p ansible_collections.esus.pec.plugins.inventory -p ansible_collections.esus.pec.plugins.plugin_utils.municipios
	PYTHONPATH=. lint-imports --no-cache $(root)/pyproject.toml
	cd $(root) && bandit --quiet --configfile pyproject.toml --recursive plugins 2>&1 | { grep -v 'nosec encountered' || true; } # of lines that hold it
	ansible-lint --strict
	shellcheck $$($(sources) | xargs -r grep -lIE '^#!.*\b(ba)?sh$$')
	antsibull-changelog lint

.PHONY: sanity
sanity: setup ## Run ansible-test sanity, without an ignore file
	@tests/lab/sanity

.PHONY: package
package: setup ## Build the collection, check it as Galaxy does, check the documentation of plugins and roles
	@mkdir -p $(build)/package
	rm -f $(build)/package/*.tar.gz
	ansible-galaxy collection build --output-path $(build)/package
	cd $(build)/package && python -m galaxy_importer.main *.tar.gz >importer.log 2>&1 || { cat importer.log; exit 1; }
	if grep -E '(WARNING|ERROR)' importer.log; then exit 1; fi
	cd $(build)/collections/ansible_collections/esus/pec && antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .
	$(root)/tests/lab/role_docs --check

.PHONY: unit
unit: setup ## Run pytest in one process per processor, without a server
	@pytest --numprocesses $$(nproc | sed 's/^1$$/0/') tests/unit

.PHONY: playbooks
playbooks: setup ## Run ansible-playbook itself against localhost, without a container
	@pytest tests/playbooks

.PHONY: versions
versions: setup ## Run what depends on Ansible's version on the oldest ansible-core, and on the newest if there is a Python for it
	@tests/lab/versions

.PHONY: integration
integration: integration-dumps integration-servers ## Run pytest against real servers in containers

.PHONY: integration-dumps
integration-dumps: setup images ## Of these, what needs the server with several versions of PostgreSQL
	pytest $(dumps)

.PHONY: integration-servers
integration-servers: setup images ## Of these, all others
	@for version in 5.3.28 5.4.37 5.5.28; do tests/stand_in/build $$version >/dev/null; done
	pytest tests/integration $(dumps:%=--ignore=%) --ignore=tests/integration/test_transfer_faults.py

# Not part of make test: it takes about a quarter of an hour.
.PHONY: transfer-faults
transfer-faults: setup images ## Run a whole transfer through its faults; make test does not
	pytest tests/integration/test_transfer_faults.py

# Not part of make test: wine takes 700 MB on the disk.
.PHONY: windows
windows: setup ## Run the export kit's script for Windows under wine, which this installs; make test does not
	@dpkg-query -W wine wine64 libarchive-tools >/dev/null 2>&1 || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wine wine64 libarchive-tools >/dev/null
	pytest tests/windows

.PHONY: molecule
molecule: $(SCENARIO:%=molecule-%) ## Run the playbooks through a server's life; SCENARIO=default selects one scenario

# Molecule deletes unknown files in its ephemeral directory, so each scenario gets its own, inside .build.
.PHONY: molecule-%
molecule-%: setup images stand-in
	@case $* in services | transfer) tests/stand_in/build 5.3.28 >/dev/null ;; esac
	CONTAINERS_CONF="$$($(lab) conf)" MOLECULE_EPHEMERAL_DIRECTORY=$(build)/molecule/$* molecule test --scenario-name $*

.PHONY: benchmark
benchmark: setup ## Time dump and restore against the manual procedure; SCALE=1 is a database of 2 GB
	@$(venv)/bin/python benchmarks/run.py --scale $(SCALE)

.PHONY: benchmark-transfer
benchmark-transfer: setup images ## Time the ways to move a database to another server against the manual procedure; SCALE as above
	@$(venv)/bin/python benchmarks/transfer.py --scale $(SCALE)

.PHONY: clean
clean: demo-down ## Remove containers, images and everything built
	@$(lab) clean
	rm -rf $(build) $(venv)
