# The front door: every target is one line over `bireal-hw`. Variables given on the command line are passed on as they are
# (make train model=bireal34 width=0.5); `make help` lists targets, `bireal-hw train --help` the variables.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PYTEST ?= -m "not slow" -n auto

own   := PYTHON VENV PYTEST
names := $(filter-out $(own),$(sort $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))))
given := $(foreach name,$(names),$(if $(filter command,$(origin $(name))),$(name)='$(subst ','\'',$($(name)))'))
ready := $(VENV)/.ready
finn := .venv-finn/.ready
verbs := train export lower fold rtl sim hls synth bitstream report demo all bench info depth crosscheck ablation study zoo

.PHONY: help setup setup-finn try-finn $(verbs) test test-all lint
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(ready) ## create .venv with the pinned packages (every other target does this first)

$(ready): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup-finn: $(finn) ## create .venv-finn with finn-plus, for crosscheck (which tries this by itself)

$(finn): requirements-finn.txt
	@test -x .venv-finn/bin/python || $(PYTHON) -m venv .venv-finn
	.venv-finn/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps -r requirements-finn.txt
	@touch $@

try-finn:
	@$(MAKE) --no-print-directory setup-finn || echo 'finn-plus cannot be installed here: crosscheck goes on without it'

train:    ## train a network and evaluate its deploy model
export:   ## deploy model -> QONNX
lower:    ## QONNX -> integer dataflow graph
fold:     ## how much each layer computes in a cycle, for board= and target_fps=
rtl:      ## SystemVerilog of the whole network for board=
sim:      ## the whole network in Verilator, bit-exact check
hls:      ## C++ project for Vitis HLS, C simulation, bit-exact check
synth:    ## resources of the SystemVerilog by Yosys, against the board
bitstream: ## bitstream by Yosys and nextpnr, host script, for board=ulx3s-85f
report:   ## one page with graph, layers, resources, accuracy and verdicts
demo:     ## train to sim on handwritten digits, then the verdict
all:      ## demo, hls, synth, report, then the verdict
zoo:      ## trained networks that come with the program; run= adds one
info:     ## layers, parameters and operations of model=
bench:    ## a page of figures: LUTs, block RAM, clock, speed, simulation, generation, training
ablation: ## what each technique of the training adds, over seeds= trainings of every row
study:    ## accuracy at 16 to 8 bits of the shortcut stream
depth:    ## depth from one image by a binary and a real-valued network, compared
crosscheck: try-finn ## an unpadded network through hls4ml and finn-plus, beside the golden model

$(verbs): $(ready)
	@$(VENV)/bin/bireal-hw $@ $(given)

test: $(ready) ## what CI runs
	$(VENV)/bin/python -m pytest $(PYTEST)

test-all: $(ready) ## the long tests too
	$(VENV)/bin/python -m pytest

lint: $(ready) ## ruff and mypy
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
