# make run      set up and run the default campaign (again: only what is missing)
# make test     set up and run the tests
# make test-all     what CI runs, with all that is too long for every commit: CONTRIBUTING.md
# make check    lint, format, types and documentation
# make docs     the documentation as a site, in site/
# make setup    only set up
# make setup-slurm   set up, with what spreads a campaign over a Slurm cluster: docs/slurm.md
# make schemas  write config/schemas and the references of keys and options again, after a change
# make test-gpu PYTHON=... [MODEL=...]   try the GPUs of this machine: docs/gpu-acceptance.md
# make lock     pin the workflow's own packages again

SNAKEMAKE = .venv/bin/snakemake --cores 1 --profile workflow-profile

.PHONY: setup setup-tests setup-slurm run test test-all test-gpu check docs schemas lock

setup:
	@envs/workflow/setup.sh

setup-tests:
	@envs/workflow/setup.sh --tests

setup-slurm:
	@envs/workflow/setup.sh --slurm

run: setup
	@$(SNAKEMAKE)

test: setup-tests
	$(SNAKEMAKE) inputs
	@# PyTorch's CPU builds are not on the public index: without them their tests say what they skip.
	$(SNAKEMAKE) inputs --configfile config/campaigns/cpu-engines.yaml || test -z "$$REQUIRE_ENGINES"
	tests/run.sh $(TESTS)

test-all:
	.ci/run all

# PYTHON: an interpreter with torch and transformers; MODEL: a folder, or a repository of the hub.
test-gpu: setup
	@PYTHONPATH=scripts .venv/bin/python -m llm_energy.validation.acceptance \
	  --python "$(PYTHON)" --model "$(MODEL)" $(ACCEPTANCE)

check: setup-tests docs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile rules workflow
	.venv/bin/snakemake --lint

docs: setup-tests
	.venv/bin/mkdocs build --strict

schemas: setup
	PYTHONPATH=scripts:. .venv/bin/python -m docs.generate.schemas

# Pin again what the *.in files allow (needs uv).
lock:
	cd envs/workflow && for name in requirements development slurm; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    $$name.in -o $$name.lock; done
