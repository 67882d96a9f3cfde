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
	build/engine/bin/pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[game]" pytest pytest-xdist pytest-rerunfailures hypothesis cryptography
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

# The small renderer from nothing: its clips, its VAE, DINO and text encoder, caches of latents, both
# phases of the teacher and its scores, then the student. Every step goes on where it was stopped.
# Hours on two cores.
SMALL := data/small
OUT := out/tiny
SPACES := --preset tiny --vae $(OUT)/vae/vae.safetensors --text $(OUT)/text/text
# The scores' twin that never saw phase 1, as long in phase 2 as that one's first half.
ALONE := --folder $(OUT)/ground-alone --start.folder null --start.vae $(OUT)/vae/vae.safetensors --start.dino $(OUT)/dino/dino --start.text $(OUT)/text/text
GUIDED := --guidance cfg --text-scale 3 --control-scale 2
SCORED := --data $(SMALL) --split held_out --frames 21 --steps 20 $(GUIDED)
# How a student is streamed: four steps in the first chunk, then four, two or one.
STREAMED := --mode stream --stream.first_timesteps "[1000, 750, 500, 250]"
IN_4 := $(STREAMED) --stream.timesteps "[1000, 750, 500, 250]"
IN_2 := $(STREAMED) --stream.timesteps "[1000, 500]"
IN_1 := $(STREAMED) --stream.timesteps "[1000]"
TRAIN := $(BIN)/c2r train --config trainer/configs

tiny: $(STAMP) $(STUDIO)
	$(BIN)/c2r data synthesize --config trainer/configs/small_set.yaml --out $(SMALL)
	for phase in autoencode train_dino train_text; do $(TRAIN)/$${phase}_tiny.yaml || exit 1; done
	$(BIN)/c2r data encode $(SMALL) --out data/windows-tiny $(SPACES) --windows 6 --frames 33
	$(BIN)/c2r data encode $(SMALL) --out data/cache-tiny $(SPACES)
	for phase in align_short align ground_short ground; do $(TRAIN)/$${phase}_tiny.yaml || exit 1; done
	$(TRAIN)/ground_short_tiny.yaml $(ALONE)
	$(BIN)/c2r eval $(SCORED) --weights "two phases=$(OUT)/ground/renderer" --no-control --out $(OUT)/eval-bare
	$(BIN)/c2r eval $(SCORED) --weights "two phases=$(OUT)/ground/renderer" "first half=$(OUT)/ground-short/renderer" "without phase 1=$(OUT)/ground-alone/renderer" --outputs "without control=$(OUT)/eval-bare/renders/two-phases-without-control" --out $(OUT)/eval
	for phase in autoregress consistency dmd; do $(TRAIN)/$${phase}_tiny.yaml || exit 1; done
	$(BIN)/c2r eval $(SCORED) --steps 50 --weights "teacher=$(OUT)/ground/renderer" --out $(OUT)/eval-teacher
	$(BIN)/c2r eval --data $(SMALL) --frames 21 $(IN_4) --weights "autoregress 4=$(OUT)/autoregress/renderer" "consistency 4=$(OUT)/consistency/renderer" "dmd 4=$(OUT)/dmd/renderer" --out $(OUT)/eval-4
	$(BIN)/c2r eval --data $(SMALL) --frames 21 $(IN_2) --weights "consistency 2=$(OUT)/consistency/renderer" "dmd 2=$(OUT)/dmd/renderer" --out $(OUT)/eval-2
	$(BIN)/c2r eval --data $(SMALL) --frames 21 $(IN_1) --weights "dmd 1=$(OUT)/dmd/renderer" --out $(OUT)/eval-1
	$(BIN)/c2r eval --data $(SMALL) --frames 21 --features $(OUT)/dino/dino --teacher teacher --out $(OUT)/eval-student --outputs "teacher=$(OUT)/eval-teacher/renders/teacher" "autoregress 4=$(OUT)/eval-4/renders/autoregress-4" "consistency 4=$(OUT)/eval-4/renders/consistency-4" "dmd 4=$(OUT)/eval-4/renders/dmd-4" "consistency 2=$(OUT)/eval-2/renders/consistency-2" "dmd 2=$(OUT)/eval-2/renders/dmd-2" "dmd 1=$(OUT)/eval-1/renders/dmd-1"
	test -e $(OUT)/shipped || $(BIN)/c2r weights pack $(OUT)/dmd/renderer $(OUT)/shipped

# What each stage of the student is worth: a short course of its own, VAE, DINO and text encoder those
# that ship; students with and without each stage, all of one teacher. About two hours of two cores.
SHORT := data/short
COURSE := out/ablation
GIVEN := --start.folder null --start.vae assets/tiny/vae.safetensors --start.dino assets/tiny/dino --start.text assets/tiny/text
# $(call course,CONFIG,FOLDER,START,STEPS): a stage, from the renderer of the stage before it.
course = $(TRAIN)/$(1)_tiny.yaml --folder $(COURSE)/$(2) $(if $(3),--start.folder $(COURSE)/$(3)/renderer,$(GIVEN)) --steps $(4) --data.cache $(SHORT)-cache --data.cg_ratio 1 --log.sample_every 0
HALF := --batch 2 --micro_batch 2
MATCHED := $(HALF) --data.frames 21 --dmd.longest 0 --distil.teacher $(COURSE)/ground/renderer
STUDENTS := autoregress consistency full without-autoregress without-consistency
JUDGED := --data $(SHORT) --frames 21

ablation: $(STAMP) $(STUDIO)
	$(BIN)/c2r data synthesize --config trainer/configs/small_set.yaml --scenes 100 --pairs 100 --frames 25 --out $(SHORT)
	$(BIN)/c2r data encode $(SHORT) --out $(SHORT)-cache --preset tiny --vae assets/tiny/vae.safetensors --text assets/tiny/text --windows 6 --frames 25
	$(call course,align,align,,600) --optim.lr 4e-3 --batch 4 --micro_batch 4
	$(call course,ground,ground,align,350) --optim.lr 3e-3 --batch 4 --micro_batch 4
	$(call course,autoregress,autoregress,ground,150) --data.frames 21
	$(call course,consistency,consistency,autoregress,120) $(HALF) --optim.warmup 10
	$(call course,consistency,no-autoregress,ground,120) $(HALF) --optim.warmup 10
	$(call course,dmd,full,consistency,180) $(MATCHED)
	$(call course,dmd,without-autoregress,no-autoregress,180) $(MATCHED)
	$(call course,dmd,without-consistency,autoregress,180) $(MATCHED)
	$(BIN)/c2r eval $(JUDGED) --steps 50 $(GUIDED) --weights "teacher=$(COURSE)/ground/renderer" --out $(COURSE)/eval-teacher
	$(BIN)/c2r eval $(JUDGED) $(IN_4) --weights $(foreach student,$(STUDENTS),$(student)-4=$(COURSE)/$(student)/renderer) --out $(COURSE)/eval-4
	$(BIN)/c2r eval $(JUDGED) $(IN_2) --weights $(foreach student,$(STUDENTS),$(student)-2=$(COURSE)/$(student)/renderer) --out $(COURSE)/eval-2
	$(BIN)/c2r eval $(JUDGED) --features assets/tiny/dino --teacher teacher --out $(COURSE)/eval --outputs teacher=$(COURSE)/eval-teacher/renders/teacher $(foreach steps,4 2,$(foreach student,$(STUDENTS),$(student)-$(steps)=$(COURSE)/eval-$(steps)/renders/$(student)-$(steps)))

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
