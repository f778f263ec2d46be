# `make demo` and `make test` need Python >= 3.11, make and a C compiler; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Where `make mini` looks for its files before the network: a directory laid out as host/path.
MIRROR ?=
# The value of a variable as one word of the shell, whatever its characters.
quoted = '$(subst ','\'',$(value $(1)))'
study = $(if $(STUDY),--configfile $(call quoted,STUDY))
MINI = snakemake --configfile config/mini.yaml $(if $(MIRROR),--config mirror=$(call quoted,MIRROR))

.PHONY: install demo mini trial rebuild report status test test-workflow test-cluster lint docs lock clean help

install: $(VENV)/.installed  ## everything into .venv

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.installed  ## the demo, offline, on simulated data -> results/report.html
	snakemake

mini: $(VENV)/.installed  ## the mini study on real data -> results/report.html (MIRROR=DIR: files fetched before)
	$(MINI)

# MODEL is OWNER/NAME on the hub or a directory; REVISION, FAMILY, TOKENIZER, NAME and STUDY say what is not to be guessed;
# YES=1 starts it without the question that a terminal is asked.
# The shell reads them itself, so that a path may have any character.
ENTRY = $(if $(REVISION),--revision "$$REVISION") $(if $(FAMILY),--family "$$FAMILY") \
	$(if $(TOKENIZER),--tokenizer "$$TOKENIZER") $(if $(NAME),--name "$$NAME") \
	$(if $(STUDY),--study "$$STUDY") $(if $(MIRROR),--mirror "$$MIRROR") $(if $(YES),--yes)

# Of data: LABEL (several between commas), SEQUENCE, GROUP and SPLIT are columns, GENOME the FASTA of a BED or VCF, KIND
# is classes, values (numbers) or tracks (zeros and ones); MODEL in place of small models.
# Shells have variables of such names: what is said behind `make` counts.
said = $(if $(findstring command,$(origin $(1))),--$(2) "$$$(1)")
ABOUT = $(call said,LABEL,label) $(call said,SEQUENCE,sequence) $(call said,GROUP,group) $(call said,SPLIT,split) \
	$(call said,GENOME,genome) $(call said,KIND,kind) $(call said,MODEL,model)

trial: $(if $(MODEL)$(DATA),$(VENV)/.installed)  ## your model (MODEL=lab/model or a directory) or your data (DATA=my.csv LABEL=column) to the verdict; YES=1: do not ask
	@test -n "$$MODEL$$DATA" || { echo "make trial: say which model: make trial MODEL=OWNER/NAME (of the hub) or MODEL=DIRECTORY (a checkpoint);" \
		"REVISION, FAMILY, TOKENIZER, NAME, STUDY and MIRROR where they are not to be guessed; or which data: make trial" \
		"DATA=my.csv LABEL=COLUMN; SEQUENCE, GROUP, SPLIT, GENOME, KIND, MODEL and NAME where they are not to be guessed." >&2; exit 2; }
	@if test -n "$$DATA"; then study=$$(python -m foundationless enter_data --data "$$DATA" $(ABOUT) $(ENTRY)) \
	&& snakemake --configfile "$$study" && python -m foundationless verdict; exit $$?; fi; \
	if test -d "$$MODEL"; then set -- --path; else set -- --repository; fi; \
	study=$$(python -m foundationless enter_model "$$@" "$$MODEL" $(ENTRY)) \
	&& snakemake --configfile "$$study" && python -m foundationless verdict

rebuild: $(VENV)/.installed  ## figures, tables, verdict and report from the records that are there (STUDY=config/mini.yaml)
	snakemake $(study) --config from_records=true --forcerun summarise_analysis

report: $(VENV)/.installed  ## results/report.html, and Snakemake's own report.html, of the last demo (STUDY=config/mini.yaml)
	snakemake $(study) results/report.html
	snakemake $(study) --report report.html

status: $(VENV)/.installed  ## how the study stands: records, the run that is going on, failures (STUDY=config/mini.yaml)
	python -m foundationless status $(study)

# Where the pytest runs of `make test` note what they skipped.
test: export FOUNDATIONLESS_SKIPPED := $(CURDIR)/.pytest_cache/skipped.txt
test: $(VENV)/.installed  ## everything that CI runs; the last line says what was skipped, and how to run it
	@mkdir -p "$$(dirname "$$FOUNDATIONLESS_SKIPPED")"; rm -f "$$FOUNDATIONLESS_SKIPPED"
	$(MAKE) lint
	pytest -n 2 --dist worksteal tests/unit tests/golden tests/realdata
	$(MAKE) --jobs 2 test-workflow test-cluster  # at once: a cluster mostly waits
	@python tests/support/skipped.py "$$FOUNDATIONLESS_SKIPPED"

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

docs: $(VENV)/.installed  ## the generated parts of the Markdown files
	PYTHONPATH=workflow:tests python -m support.docs

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
