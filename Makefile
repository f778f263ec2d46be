# `make demo` and `make test` need Python >= 3.11, make and a C compiler; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Where `make mini` looks for its files before the network: a directory laid out as host/path.
MIRROR ?=
MINI := snakemake --configfile config/mini.yaml $(if $(MIRROR),--config mirror=$(MIRROR))

.PHONY: install demo mini report status test test-workflow test-cluster lint lock clean help

install: $(VENV)/.installed  ## everything into .venv

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.installed  ## the demo, offline, on simulated data -> results/figures/all.pdf
	snakemake

mini: $(VENV)/.installed  ## the mini study on real data -> results/figures/all.pdf (MIRROR=DIR: files fetched before)
	$(MINI)

report: $(VENV)/.installed  ## report.html of the last demo (STUDY=config/mini.yaml: of that study)
	snakemake $(if $(STUDY),--configfile $(STUDY)) --report report.html

status: $(VENV)/.installed  ## how the study stands: records, the run that is going on, failures (STUDY=config/mini.yaml)
	python -m foundationless status $(if $(STUDY),--configfile $(STUDY))

test: $(VENV)/.installed  ## everything that CI runs
	$(MAKE) lint
	pytest -n 2 --dist worksteal tests/unit tests/golden tests/realdata
	$(MAKE) --jobs 2 test-workflow test-cluster  # at once: a cluster mostly waits

test-workflow: $(VENV)/.installed
	pytest tests/workflow

test-cluster: $(VENV)/.installed
	pytest tests/cluster

lint: $(VENV)/.installed  ## formats, types, workflow lint
	ruff check .
	ruff format --check workflow tests
	mypy
	snakefmt --check workflow/Snakefile workflow/rules/*.smk
	snakemake --lint

$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

lock:  ## pin what pyproject.toml asks for, as resolved today, into requirements.txt
	$(PYTHON) -m venv --clear .lock
	.lock/bin/pip install --quiet '.[test]'
	(head -n 1 requirements.txt; .lock/bin/pip freeze --all | sed 's/+cpu//' | grep -viE '^(foundationless|pip)\b') > requirements.new
	mv requirements.new requirements.txt
	rm -r .lock

clean:  ## remove what the workflow made (not resources/, not .venv)
	rm -rf results/[a-z]* logs benchmarks .snakemake report.html
	git checkout -- results
