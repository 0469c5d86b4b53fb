# `make help` lists what there is. Targets are thin callers of `candor`. Those that need libraries first make a small
# environment of their own under .venv/: once, and again when its lock in requirements/ changes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Values reach Python as they were typed. Make would expand `$` in a value from its command line, so each such variable
# becomes its own raw text here. Recipes take values from the shell only, in double quotes ("$$INPUT"), and all that
# recipes themselves expand is an `override` below, which no command line can change.
MAKEOVERRIDES :=
$(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),\
  $(eval override $(name) := $$(value $(name)))$(eval export $(name))))

# $(call candor,serve): the command, from this checkout, in that environment. STORE is its model store.
override candor = [ -z "$$STORE" ] || export CANDOR_STORE="$$STORE"; PYTHONPATH=layers/serving exec .venv/$(1)/bin/python -m candor
override dev := .venv/dev/bin/python
override bench := PYTHONPATH=functions:layers/serving .venv/bench/bin/python
override sam := SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam
override architecture := Architecture=$${ARCHITECTURE:-x86_64}
# How a file is to be read, for all that read files of users.
override reading = $${DELIMITER:+--delimiter="$$DELIMITER"} $${ENCODING:+--encoding="$$ENCODING"} $${NO_HEADER:+--no-header}
# The time of the code that makes a bundle, where git knows it: `make ship` again then gives the same one, to the byte.
# The command line and what reports say have no part in a bundle.
override epoch := time=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct -- training layers/serving ':!training/report' ':!training/EXPERIMENTS.md' ':!layers/serving/candor/cli' 2>/dev/null)}; \
  unset SOURCE_DATE_EPOCH; [ -z "$$time" ] || export SOURCE_DATE_EPOCH="$$time";

# $(call needs,TARGET,VARIABLE,KIND,example): needs-TARGET, the first prerequisite of TARGET, fails if VARIABLE is missing.
override define needs
.PHONY: needs-$(1)
needs-$(1):
	@[ -n "$$$$$(2)" ] || { printf 'error: make $(1) needs $(2)=$(3)\nhint: for example, make $(1) $(2)=$(4)\n' >&2; exit 2; }
endef
$(eval $(call needs,score,INPUT,FILE,events/texts.csv))
$(eval $(call needs,verify,MANIFEST,FILE,results/JOB/manifest.json))
$(eval $(call needs,report,INPUT,FILE,events/texts.csv))
$(eval $(call needs,evaluate,DATA,FILE,labelled.csv))
$(eval $(call needs,own,DATA,FOLDER,own))
$(eval $(call needs,use,MODEL,NAME,tickets))
$(eval $(call needs,diff,B,NAME,tickets A=tickets@2026-11-27-1))

.PHONY: help run test openapi train ship models diff score verify verify-results report evaluate fairness use dashboard torture build deploy bench \
  own costs planted faithfulness vectors lint lock docs clean
help: ## list what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1:/p' Makefile | while IFS=: read -r name text; do \
	  printf '  make %-13s ' "$$name"; fold -s -w 96 <<<"$$text" | sed '2,$$s/^/                     /'; done

run: .venv/serve/.made ## serve the API and its page on http://127.0.0.1:8000 [HOST= PORT= MODEL= LOG=FILE API_KEYS=a,b]
	@$(call candor,serve) serve $${MODEL:+--model="$$MODEL"} $${HOST:+--host="$$HOST"} $${PORT:+--port="$$PORT"} $${LOG:+--log="$$LOG"}

test: .venv/dev/.linked $(if $(value TESTS),,.venv/sam/.made .venv/scan/.made .venv/edge/.made) ## run every test, or some [TESTS="tests/candor/text -k clean"]; those in Lambda's container need Docker
	@PYTEST_ADDOPTS="$$PYTEST_ADDOPTS $$TESTS" $(dev) -m pytest

openapi: .venv/serve/.made ## write functions/api/openapi.json, the contract of the API, from the code
	@mkdir -p .cache
	@PYTHONPATH=functions:layers/serving .venv/serve/bin/python -m api.openapi >.cache/openapi.json
	@mv .cache/openapi.json functions/api/

train: .venv/train/.linked ## train a model on labelled texts, as a new version in models/ [DATA=FILE TEXT=column LABEL=column UNLABELLED=FILE TEST=FILE NAME= VERSION= GOLDEN=FILE SEED= SIZE=MB MINUTES= OWNER= LICENCE= DESCRIPTION= INTENDED_USE= TEXT_NOUN= SAMPLES=FILE DELIMITER= ENCODING= NO_HEADER=1 SKIP_BAD_ROWS=1 FAIR= IDENTITY=FILE KEEP=GROUP BALANCE=labels ACCEPT_UNFAIR=REASON STORE=]
	@$(call candor,train) train $(reading) $${SKIP_BAD_ROWS:+--skip-bad-rows} $${TEXT_NOUN:+--text-noun="$$TEXT_NOUN"} \
	  $${SAMPLES:+--samples="$$SAMPLES"} $${TEXT:+--text-column="$$TEXT"} $${LABEL:+--label-column="$$LABEL"} \
	  $${NAME:+--name="$$NAME"} $${VERSION:+--version="$$VERSION"} $${GOLDEN:+--golden="$$GOLDEN"} $${SEED:+--seed="$$SEED"} \
	  $${UNLABELLED:+--unlabelled="$$UNLABELLED"} $${TEST:+--test="$$TEST"} $${SIZE:+--size="$$SIZE"} $${MINUTES:+--minutes="$$MINUTES"} \
	  $${OWNER:+--owner="$$OWNER"} $${LICENCE:+--licence="$$LICENCE"} $${DESCRIPTION:+--description="$$DESCRIPTION"} \
	  $${INTENDED_USE:+--intended-use="$$INTENDED_USE"} $${FAIR:+--fair="$$FAIR"} $${IDENTITY:+--identity="$$IDENTITY"} \
	  $${KEEP:+--keep="$$KEEP"} $${BALANCE:+--balance="$$BALANCE"} $${ACCEPT_UNFAIR:+--accept-unfair="$$ACCEPT_UNFAIR"} $${DATA:+-- "$$DATA"}

ship: .venv/train/.linked ## train the model that ships again, and install it [DATA=aclImdb_v1.tar.gz]
	@rm -rf .cache/ship && mkdir -p .cache/ship
	@$(epoch) export CANDOR_STORE=.cache/ship; $(call candor,train) train --name=imdb-sentiment \
	  --owner="the authors of Candor" --licence=Apache-2.0 --description="Says whether a film review is positive or negative." \
	  --intended-use="To try Candor out, and to count opinions in reviews of films. Not to judge people." $${DATA:+-- "$$DATA"}
	@$(call candor,train) use .cache/ship/imdb-sentiment
	@.venv/train/bin/python -c 'import hashlib, json, pathlib; bundle = pathlib.Path("layers/model/bundle"); \
	  model, manifest = json.loads((bundle / "model.json").read_text()), (bundle / "manifest.json").read_bytes(); \
	  facts = {"name": model["name"], "version": model["version"], "sha256": hashlib.sha256(manifest).hexdigest()}; \
	  pathlib.Path("layers/model/shipped.json").write_text(json.dumps(facts, indent=2) + "\n")'
	@find .cache/ship -path '*/report/*' -exec cp {} training/report/ \;

models: .venv/serve/.made ## list the models of the store, and which is in use [STORE=models]
	@$(call candor,serve) models

diff: needs-diff .venv/serve/.made ## compare two models: A= B= [DATA=FILE TEXT=column LABEL=column STORE=]
	@$(call candor,serve) diff $${TEXT:+--text-column="$$TEXT"} $${LABEL:+--label-column="$$LABEL"} -- "$$A" "$$B" $${DATA:+"$$DATA"}

score: needs-score .venv/serve/.made ## label a file, folder or pattern of texts: INPUT= [OUTPUT=results TEXT=column ID=column MODEL= MIN_CONFIDENCE= EXPLAIN=1 REDACT=off WITH_TEXT=mask WITH_COLUMNS=1 CSV=1 PICTURE=1 STDIN=jsonl ROWS= PROCESSES= DELIMITER= ENCODING= NO_HEADER=1 STORE=]
	@$(call candor,serve) score $(reading) $${MODEL:+--model="$$MODEL"} $${TEXT:+--text-column="$$TEXT"} $${ID:+--id-column="$$ID"} \
	  $${MIN_CONFIDENCE:+--min-confidence="$$MIN_CONFIDENCE"} $${EXPLAIN:+--explain} $$([ "$$REDACT" != off ] || echo --no-redact) \
	  $${WITH_TEXT:+--with-text="$$WITH_TEXT"} $${WITH_COLUMNS:+--with-columns} $${CSV:+--csv} $${PICTURE:+--picture} $${STDIN:+--stdin="$$STDIN"} \
	  $${ROWS:+--rows="$$ROWS"} $${PROCESSES:+--processes="$$PROCESSES"} -- "$$INPUT" "$${OUTPUT:-results}"

verify: needs-verify .venv/serve/.made ## check that the manifest of a `make score` still holds: MANIFEST= [MODEL=]
	@$(call candor,serve) verify $${MODEL:+--model="$$MODEL"} -- "$$MANIFEST"

verify-results: verify

report: needs-report .venv/serve/.made ## write one HTML page about a file of texts: INPUT= [OUTPUT=report.html TEXT=column MODEL= DELIMITER= ENCODING= NO_HEADER=1 STORE=]
	@$(call candor,serve) report $(reading) $${MODEL:+--model="$$MODEL"} $${TEXT:+--text-column="$$TEXT"} -- "$$INPUT" "$${OUTPUT:-report.html}"

evaluate: needs-evaluate .venv/serve/.made ## measure a model on labelled texts: DATA= [TEXT=column LABEL=column MODEL= REPORT=FOLDER SEED= JSON=1 DELIMITER= ENCODING= NO_HEADER=1 SKIP_BAD_ROWS=1 STORE=]
	@$(call candor,serve) evaluate $(reading) $${SKIP_BAD_ROWS:+--skip-bad-rows} $${MODEL:+--model="$$MODEL"} $${TEXT:+--text-column="$$TEXT"} \
	  $${LABEL:+--label-column="$$LABEL"} $${REPORT:+--report="$$REPORT"} $${SEED:+--seed="$$SEED"} \
	  $${JSON:+--json} -- "$$DATA"

fairness: .venv/train/.linked ## audit whether the model in use depends on whom a text names, or compare ways of training [TEXTS=FILE COMPARE=FILE TEXT=column LABEL=column MODEL= IDENTITY=FILE REPORT=FOLDER SEED= JSON=1 DELIMITER= ENCODING= NO_HEADER=1 STORE=]
	@$(call candor,train) fairness $(reading) $${TEXTS:+--texts="$$TEXTS"} $${COMPARE:+--compare="$$COMPARE"} $${MODEL:+--model="$$MODEL"} \
	  $${TEXT:+--text-column="$$TEXT"} $${LABEL:+--label-column="$$LABEL"} $${IDENTITY:+--identity="$$IDENTITY"} \
	  $${REPORT:+--report="$$REPORT"} $${SEED:+--seed="$$SEED"} $${JSON:+--json}

use: $(if $(value BACK),,needs-use) .venv/serve/.made ## make a model the one that is served and deployed: MODEL=NAME, or BACK=1 [STORE=]
	@$(call candor,serve) use $${BACK:+--back} $${MODEL:+-- "$$MODEL"}

dashboard: .venv/dashboard/.made ## draw the deployed dashboard from the log of `make run LOG=run.log` [LOG=run.log OUTPUT=dashboard.png]
	@$(call candor,dashboard) dashboard -- "$${LOG:-run.log}" "$${OUTPUT:-dashboard.png}"

torture: .venv/torture/.made ## run batch jobs under random faults, search for costly inputs [SCHEDULES=2000 SEED=0 COSTS=120]
	@$(call candor,torture) torture $${SCHEDULES:+--schedules="$$SCHEDULES"} $${SEED:+--seed="$$SEED"} $${COSTS:+--costs="$$COSTS"}

build: .venv/sam/.made ## build functions and layers as they are deployed, in .aws-sam/build [ARCHITECTURE=arm64]
	@PYTHON="$$PWD/.venv/sam/bin/python" $(sam) build --parameter-overrides "$(architecture)"

deploy: build ## deploy the stack to your AWS account; lists what changes and asks once [STACK=candor PARAMETERS="AlarmEmail=me@example.com MemorySize=2048" ARCHITECTURE=arm64 YES=1]
	@$(sam) deploy --stack-name "$${STACK:-candor}" --parameter-overrides "$(architecture) $$PARAMETERS" --resolve-s3 \
	  --capabilities CAPABILITY_IAM --$${YES:+no-}confirm-changeset --no-fail-on-empty-changeset

bench: .venv/bench/.made .cache/fasttext build ## measure every figure that training does not [DATA=aclImdb_v1.tar.gz]; needs Docker
	@tests/e2e/docker-start
	@$(bench) -m tests.benchmark $${DATA:+--data="$$DATA"}

own: needs-own .venv/train/.linked ## compare training with scikit-learn's classifiers of texts: DATA=FOLDER of NAME.train.jsonl and NAME.test.jsonl
	@PYTHONPATH=functions:layers/serving:. .venv/train/bin/python -m tests.benchmark.own_labels -- "$$DATA"

planted: .venv/train/.linked ## measure how far people's terms move the model in use, and which planted biases training refuses [DATA=aclImdb_v1.tar.gz]
	@PYTHONPATH=functions:layers/serving:. .venv/train/bin/python -m tests.benchmark.fairness $${DATA:+--data="$$DATA"}

costs: .venv/bench/.made ## estimate what the stack costs a month, from times measured here
	@$(bench) -m tests.benchmark.costs

faithfulness: .venv/faithfulness/.made ## compare explanations with LIME and KernelSHAP on 500 reviews [DATA=aclImdb_v1.tar.gz]
	@PYTHONPATH=.:layers/serving .venv/faithfulness/bin/python -W ignore -m tests.benchmark.faithfulness $${DATA:+--data="$$DATA"}

vectors: .venv/encoder/.made ## distil the word vectors in training/vectors from a sentence encoder [DATA=aclImdb_v1.tar.gz]
	@PYTHONPATH=.:layers/serving .venv/encoder/bin/python -m training.vectors.distil $${DATA:+-- "$$DATA"}

lint: .venv/lint/.made ## run ruff and mypy
	@.venv/lint/bin/ruff check .
	@.venv/lint/bin/ruff format --check .
	@.venv/lint/bin/mypy layers/serving/candor functions/api training

docs: .venv/dev/.linked ## write the generated parts of docs/ from the code
	@PYTHONPATH=functions:layers/serving:. $(dev) docs/generate.py

lock: .venv/lock/.made ## pin what requirements/*.in ask for, with hashes [UPGRADE=1 takes newer releases]
	@bash requirements/lock

clean: ## forget every environment and build
	rm -rf .venv .aws-sam

# requirements/environment NAME SIZE PURPOSE PYTHON…
override environment := @bash requirements/environment

.venv/serve/.made: requirements/serve.txt
	$(environment) serve "40 MB" "the API and the command line" 3.13 3.12 3.11

.venv/dashboard/.made: requirements/dashboard.txt
	$(environment) dashboard "65 MB" "the command line with Matplotlib" 3.13 3.12 3.11

.venv/train/.made: requirements/train.txt
	$(environment) train "680 MB" "training with TensorFlow" 3.13 3.12 3.11

.venv/dev/.made: requirements/dev.txt
	$(environment) dev "840 MB" "the tests" 3.13

.venv/lint/.made: requirements/lint.txt
	$(environment) lint "95 MB" "ruff and mypy" 3.13

.venv/torture/.made: requirements/torture.txt
	$(environment) torture "70 MB" "batch jobs on a fake of AWS" 3.13

.venv/sam/.made: requirements/sam.txt
	$(environment) sam "60 MB" "AWS SAM, which builds and runs the stack" 3.13

.venv/scan/.made: requirements/scan.txt
	$(environment) scan "55 MB" "a security scanner for the template" 3.13

# Only one test needs Python 3.11; it says so where there is none.
.venv/edge/.made: requirements/edge.txt
	$(environment) edge "25 MB" "the model under tflite-runtime, on Python 3.11" 3.11 || [ $$? = 2 ]

.venv/bench/.made: requirements/bench.txt
	$(environment) bench "65 MB" "benchmarks" 3.13

.venv/faithfulness/.made: requirements/faithfulness.txt
	$(environment) faithfulness "140 MB" "explanations by LIME and SHAP" 3.13

.venv/encoder/.made: requirements/encoder.txt
	$(environment) encoder "170 MB" "a sentence encoder" 3.13 3.12 3.11

.venv/lock/.made: requirements/lock.txt
	$(environment) lock "20 MB" "uv, which locks the other environments" 3.13 3.12 3.11

# `candor` finds the trainer by its entry point, so the package is installed: editable, from this folder.
.venv/%/.linked: .venv/%/.made pyproject.toml
	@mkdir -p .cache
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . \
	  >.cache/pip-link.log 2>&1 </dev/null || { cat .cache/pip-link.log >&2; exit 1; }
	@touch $@

# fastText's own program, from the source of its Python package.
.cache/fasttext: .venv/bench/.made
	@mkdir -p .cache && rm -rf .cache/fasttext-* && sed -n '/^fasttext==/,/[^\\]$$/p' requirements/bench.txt >.cache/fasttext.txt
	@.venv/bench/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --no-binary :all: \
	  --dest .cache --requirement .cache/fasttext.txt
	@tar -C .cache -xzf .cache/fasttext-*.tar.gz
	@g++ -O3 -march=native -std=c++17 -include cstdint -pthread .cache/fasttext-*/src/*.cc -o $@
