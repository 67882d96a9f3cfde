# make demo and make test do everything, set-up included, on a machine with Python 3.11 or newer.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test test-engine check bench proto format clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt torch
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[render,game,dev]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/c2r demo --output out

test: $(STAMP)
	$(BIN)/pytest -n auto --dist worksteal

bench: $(STAMP)
	$(BIN)/c2r bench --json out/bench.json

proto: $(STAMP)
	$(BIN)/python proto/generate.py

# The engine's side where PyTorch is not installed, as in a game: an environment of its own.
test-engine:
	test -x build/engine/bin/python || $(PYTHON) -m venv build/engine
	build/engine/bin/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[game]" pytest pytest-xdist pytest-rerunfailures hypothesis cryptography
	build/engine/bin/python -c "import engine_bridge, importlib.util as u; assert u.find_spec('torch') is None"
	build/engine/bin/pytest tests/wire tests/city tests/engine_bridge tests/test_clips.py tests/test_config.py -n auto --dist worksteal

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv out build *.egg-info
