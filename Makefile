# `make help` lists what there is. Each environment under .venv/ is made once and made again when its pins change.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# $(call python,versions,PYTHON if set): the first of these versions that is here, or PYTHON if it is one of them.
python = $(firstword $(foreach version,$(1),$(shell for python in $(or $(2),python$(version) python3); do \
  "$$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(version)")' 2>/dev/null && echo "$$python" && break; done)))
PYTHON_ANY = $(call python,3.13 3.12 3.11,$(PYTHON))
PYTHON_3_13 = $(call python,3.13,$(PYTHON))
PYTHON_3_11 = $(call python,3.11)
PORT ?= 8000
ARCHITECTURE ?= x86_64
# The time of the code that makes the bundle, so that training again gives the same bundle, to the byte.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct -- training layers/serving 2>/dev/null)
export ARCHITECTURE SOURCE_DATE_EPOCH
export SAM_CLI_TELEMETRY := 0

SERVE := .venv/serve/bin/python
DEV := .venv/dev/bin/python
SAM := .venv/sam/bin/sam
EDGE := .venv/edge/bin/python
# Python with the path of a function, and nobody's account.
ACCOUNT = PYTHONPATH=.:functions:layers/serving BUNDLE_PATH=layers/model/bundle AWS_ACCESS_KEY_ID=testing \
  AWS_SECRET_ACCESS_KEY=testing $(DEV)
RUNTIME := layers/runtime/requirements.txt

.PHONY: help run test openapi train score report dashboard verify-results torture build deploy bench costs faithfulness lint clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: .venv/serve/.made ## the API on http://127.0.0.1:8000, from the bundle in layers/model (PORT= another port, API_KEYS=a,b asks for keys, LOG= a file for logs and metrics)
	@exec $(SERVE) -m events.server --port "$(PORT)" $(if $(LOG),--log "$(LOG)")

test: .venv/dev/.made .venv/sam/.made .venv/scan/.made $(if $(PYTHON_3_11),.venv/edge/.made) ## every test (TESTS= for some); those in Lambda's container need Docker
	$(DEV) -m pytest $(TESTS)

openapi: .venv/dev/.made ## the API's contract, functions/api/openapi.json, from the code
	PYTHONPATH=functions:layers/serving $(DEV) -m api.openapi > .cache/openapi.json && mv .cache/openapi.json functions/api/

train: .venv/dev/.made ## raw texts to a bundle (DATA= archive, folder, .csv or .jsonl; TEXT= and LABEL= name its columns)
	@PYTHONPATH=layers/serving $(DEV) -m training.train $(if $(DATA),--data "$(DATA)") $(if $(TEXT),--text-column "$(TEXT)") \
	  $(if $(LABEL),--label-column "$(LABEL)") $(if $(NAME),--name "$(NAME)") $(if $(GOLDEN),--golden "$(GOLDEN)") \
	  $(if $(BUNDLE),--bundle "$(BUNDLE)") $(if $(REPORT),--report "$(REPORT)")
	$(if $(BUNDLE),,@$(ACCOUNT) -m tests.samples)

score: .venv/serve/.made ## a file, folder or pattern of texts to labels (INPUT= OUTPUT= TEXT= ID= EXPLAIN=1 CSV=1 PICTURE=1 WITH_TEXT=mask REDACT=off)
	@PYTHONPATH=layers/serving exec $(SERVE) -m events.score "$(INPUT)" "$(or $(OUTPUT),results)" \
	  $(if $(TEXT),--text-column "$(TEXT)") $(if $(ID),--id-column "$(ID)") $(if $(EXPLAIN),--explain) $(if $(CSV),--csv) \
	  $(if $(PICTURE),--picture) $(if $(WITH_TEXT),--with-text $(WITH_TEXT)) $(if $(filter off,$(REDACT)),--no-redact) $(if $(STDIN),--stdin $(STDIN))

report: .venv/serve/.made ## one HTML page about a file of texts (INPUT= OUTPUT=report.html TEXT=)
	@PYTHONPATH=layers/serving exec $(SERVE) -m events.report "$(INPUT)" "$(or $(OUTPUT),report.html)" $(if $(TEXT),--text-column "$(TEXT)")

dashboard: .venv/dev/.made ## the deployed dashboard's panels as a picture, from `make run LOG=run.log` (LOG= OUTPUT=dashboard.png)
	@PYTHONPATH=layers/serving exec $(DEV) -m events.dashboard "$(or $(LOG),run.log)" "$(or $(OUTPUT),dashboard.png)"

verify-results: .venv/serve/.made ## whether a receipt of `make score` still holds (MANIFEST=)
	@PYTHONPATH=layers/serving exec $(SERVE) -m events.score --verify "$(MANIFEST)"

torture: .venv/dev/.made ## batch jobs under 2,000 random schedules of faults (SCHEDULES= SEED=)
	@$(ACCOUNT) -m tests.torture --schedules $(or $(SCHEDULES),2000) --seed $(or $(SEED),0)

build: .venv/dev/.made .venv/sam/.made ## functions and layers as they are deployed, in .aws-sam/build (ARCHITECTURE=arm64)
	PYTHON="$(abspath $(DEV))" $(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: build ## the stack into your AWS account; asks before it changes anything
	$(SAM) deploy --guided --parameter-overrides Architecture=$(ARCHITECTURE)

bench: .venv/dev/.benched build ## every figure that the README quotes and training does not measure
	@tests/e2e/docker-start
	@PYTHONPATH=functions:layers/serving $(DEV) -m tests.benchmark $(if $(DATA),--data "$(DATA)")

costs: .venv/dev/.made ## what the stack costs a month at AWS's list prices, from times measured here
	@PYTHONPATH=functions:layers/serving $(DEV) -m tests.benchmark.costs

faithfulness: .venv/faithfulness/.made ## explanations beside LIME and KernelSHAP on 500 reviews
	@PYTHONPATH=.:layers/serving $(<D)/bin/python -W ignore -m tests.benchmark.faithfulness $(if $(DATA),--data "$(DATA)")

lint: .venv/dev/.made ## ruff and mypy
	$(DEV) -m ruff check .
	$(DEV) -m ruff format --check .
	$(DEV) -m mypy layers/serving/candor functions/api events training

clean: ## forgets every environment and build
	rm -rf .venv .aws-sam

# The first command of each rule below makes the environment; `quietly` shows what pip said only if it failed.
define environment
	@test -n "$(1)" || { echo "make: this needs Python $(2): put it on the PATH or set PYTHON" >&2; exit 2; }
	@echo "making $(@D) with $(1), once"
	@rm -rf $(@D) && "$(1)" -m venv $(@D) && mkdir -p .cache
	@$(call quietly,$(PIP) "pip>=25.1")
endef
PIP = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check
quietly = { $(1); } >.cache/pip.log 2>&1 || { cat .cache/pip.log >&2; exit 1; }

.venv/serve/.made: $(RUNTIME) pyproject.toml
	$(call environment,$(PYTHON_ANY),3.11 to 3.13)
	@$(call quietly,$(PIP) --no-deps --requirement $(RUNTIME) && $(PIP) --group serve)
	@touch $@

.venv/dev/.made: $(RUNTIME) pyproject.toml
	$(call environment,$(PYTHON_3_13),3.13)
	@$(call quietly,$(PIP) --group dev && $(PIP) --no-deps --requirement $(RUNTIME))
	@touch $@

.venv/dev/.benched: .venv/dev/.made
	@$(call quietly,$(PIP) --group bench)
	@$(call quietly,$(DEV) -m pip download --quiet --no-deps --no-binary :all: --dest .cache fasttext==0.9.3)
	@tar -C .cache -xzf .cache/fasttext-0.9.3.tar.gz
	@g++ -O3 -march=native -std=c++17 -include cstdint -pthread .cache/fasttext-0.9.3/src/*.cc -o .cache/fasttext
	@touch $@

.venv/sam/.made: pyproject.toml
	$(call environment,$(PYTHON_3_13),3.13)
	@$(call quietly,$(PIP) --group sam)
	@touch $@

.venv/scan/.made: pyproject.toml
	$(call environment,$(PYTHON_3_13),3.13)
	@$(call quietly,$(PIP) --group scan)
	@touch $@

.venv/faithfulness/.made: pyproject.toml
	$(call environment,$(PYTHON_3_13),3.13)
	@$(call quietly,$(PIP) --group faithfulness)
	@touch $@

.venv/edge/.made: pyproject.toml
	$(call environment,$(PYTHON_3_11),3.11)
	@$(call quietly,$(PIP) --group edge)
	@touch $@
