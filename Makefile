# The commands for people, README and CI.  `make demo` and `make test` install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
LOGS := $(or $(DATA),../shared/data)
FIGURES := build/quality
.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast soak fuzz faults check format bench quality clean

help:            ## what there is to type
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## */\t/' | expand -t 14

install: $(VENV)/.installed ## the project and its tools, into .venv

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Segue needs Python 3.11 or newer: found $$($(PYTHON) --version 2>&1); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Segue needs Python's venv module: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "hnswlib is compiled on installation and found no C++ compiler: on Debian, apt-get install g++ python3-dev" >&2; exit 1; }
	@echo "installing into $(VENV) (two minutes the first time: hnswlib is compiled)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install    ## the whole on an embedded Apache Kafka, live in this terminal (Ctrl-C ends it)
	@$(BIN)/segue up --demo $(ARGS)

# each process that a test starts would compile the project again, where Python is told to keep no bytecode
test test-fast: export PYTHONDONTWRITEBYTECODE :=

test: install    ## every test
	@$(BIN)/python -m pytest -n 4 --dist loadgroup $(ARGS)

test-fast: install ## the tests that need no Kafka and no real logs
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not kafka and not slow and not data" $(ARGS)

soak: install    ## many simulated histories of faults, one a seed (SEEDS=2000 FIRST=0)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.simulation.soak --seeds $(or $(SEEDS),2000) --first $(or $(FIRST),0) $(ARGS)

fuzz: install    ## broken messages into every worker's core, each accounted for (MESSAGES=100000 SEED=1)
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --messages $(or $(MESSAGES),100000) --seed $(or $(SEED),1) $(ARGS)

faults: install  ## a hundred kills and twenty zombies under a million events, counted (EVENTS=1000000 KILLS=100 ZOMBIES=20)
	@$(BIN)/python -m tests.faults --events $(or $(EVENTS),1000000) --kills $(or $(KILLS),100) --zombies $(or $(ZOMBIES),20) $(ARGS)

check: install   ## style, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >/tmp/segue-imports.$$$$ || { cat /tmp/segue-imports.$$$$; rm -f /tmp/segue-imports.$$$$; exit 1; }; rm -f /tmp/segue-imports.$$$$

format: install  ## lay the code out
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install   ## events per second: stock Faust, the engine, the learner; then freshness
	@$(BIN)/segue bench $(ARGS)

quality: install ## predict before learning, on the real logs beside the project (DATA=../shared/data) and in made-up worlds; held to docs/quality
	@mkdir -p $(FIGURES)
	@$(BIN)/segue replay --from spotify-pack $(LOGS)/spotify_histories --seed 1 --ask-every 8 --json $(FIGURES)/replay-spotify.json --plot $(FIGURES)/replay-spotify.png
	@$(BIN)/segue replay --from movielens $(LOGS)/ml-latest-small --seed 1 --ask-every 4 --json $(FIGURES)/replay-movielens.json --plot $(FIGURES)/replay-movielens.png
	@$(BIN)/segue evaluate likes --data $(LOGS)/ml-latest-small --seed 1 --ask-every 16 --json $(FIGURES)/likes.json
	@$(BIN)/segue evaluate skips --data $(LOGS)/spotify_histories --seed 1 --json $(FIGURES)/skips.json
	@$(BIN)/segue evaluate mixing --seed 1 --data $(LOGS)/spotify_histories --json $(FIGURES)/mixing.json
	@$(BIN)/segue evaluate recall --data $(LOGS)/hetrec2011-lastfm-2k --seed 1 --json $(FIGURES)/recall.json
	@$(BIN)/segue evaluate bandits --seed 1 --json $(FIGURES)/bandits.json
	@$(BIN)/segue evaluate drift --seed 1 --json $(FIGURES)/drift.json --plot $(FIGURES)/drift.png
	@$(BIN)/segue evaluate listening --seed 1 --json $(FIGURES)/listening.json --plot $(FIGURES)/listening.png
	@for base in docs/quality/*.json; do $(BIN)/segue compare $$base $(FIGURES)/$$(basename $$base) || exit 1; done

clean:           ## remove what `install` and the tests made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .coverage
