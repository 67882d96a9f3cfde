# make demo and make test do everything, set-up included, on a machine with Python 3.11 or newer.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
STUDIO_PYTHON ?= python3.11
STUDIO := .venv-studio/.installed

.PHONY: setup demo test test-engine check bench bench-gpu proto native test-native unreal studio tiny ablation format clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt torch
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[render,game,train,data,export,trt,dev]"
	touch $(STAMP)

# Blender and JuPedSim need an older numpy and Python 3.11: an interpreter of their own. JuPedSim's
# viewers (Qt, VTK) are left out.
studio: $(STUDIO)

$(STUDIO):
	test -x .venv-studio/bin/python || $(STUDIO_PYTHON) -m venv .venv-studio
	.venv-studio/bin/pip install --quiet $(PIP_ARGS) bpy==5.0.1 "numpy<2" "pydantic>=2.8" "shapely>=2.0,<3" "deprecated>=1.2.18,<1.3"
	.venv-studio/bin/pip install --quiet $(PIP_ARGS) --no-deps jupedsim==1.4.2
	.venv-studio/bin/python -m street.studio.fetch_skies
	touch $(STUDIO)

demo: $(STAMP)
	$(BIN)/c2r demo --weights assets/tiny --output out

test: $(STAMP)
	$(BIN)/pytest -n auto --dist worksteal

bench: $(STAMP)
	$(BIN)/c2r bench --json out/bench.json

# On a machine with an NVIDIA GPU: with the environment of `make setup` where there is one, else with
# a Python that has PyTorch, transformers, numpy and grpcio. Needs no weights and no internet.
GPU_PYTHON ?= $(if $(wildcard $(STAMP)),$(BIN)/python,$(PYTHON))
GPU_ARGS ?=
bench-gpu:
	$(GPU_PYTHON) -m runtime.bench.gpu $(GPU_ARGS)

proto: $(STAMP)
	$(BIN)/python proto/generate.py

# The engine's side where PyTorch is not installed, as in a game: an environment of its own.
test-engine:
	test -x build/engine/bin/python || $(PYTHON) -m venv build/engine
	build/engine/bin/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[game]" pytest pytest-xdist hypothesis cryptography
	build/engine/bin/python -c "import engine_bridge, importlib.util as u; assert u.find_spec('torch') is None"
	build/engine/bin/pytest tests/wire tests/street/city tests/street/game tests/conformance tests/engine_bridge tests/test_clips.py tests/test_config.py -n auto --dist worksteal

# The C++ client that engine plugins load. What Debian needs for it: engine_bridge/native/README.md.
NATIVE := engine_bridge/native
FUZZ_SECONDS ?= 60

native:
	cd $(NATIVE) && cmake --preset native && cmake --build --preset native

test-native: native $(STAMP)
	cd $(NATIVE) && for p in native-asan native-tsan; do cmake --preset $$p && cmake --build --preset $$p || exit 1; done
	cd $(NATIVE) && cmake --preset native-fuzz -DC2R_FUZZ_SECONDS=$(FUZZ_SECONDS) && cmake --build --preset native-fuzz
	$(BIN)/python $(NATIVE)/fuzz/seeds.py build/native-fuzz/fuzz/seeds
	$(BIN)/pytest tests/native
	cmake --build build/native-fuzz --target c2r_fuzz

# The Unreal plugin with the client core's sources and nanopb's runtime, ready to be copied.
NANOPB := build/nanopb
unreal: $(STAMP)
	test -e $(NANOPB)/pb.h || git clone --quiet --depth 1 --branch 0.4.9.1 https://github.com/nanopb/nanopb $(NANOPB)
	$(BIN)/python unreal_plugin/package.py --nanopb $(NANOPB)

# The long recipes, hours each. A second start continues where the first was stopped; see runs/*.sh.
tiny: $(STAMP) $(STUDIO)
	runs/tiny.sh

ablation: $(STAMP) $(STUDIO)
	runs/ablation.sh

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
	rm -rf .venv .venv-studio out build *.egg-info
