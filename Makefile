PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help venv demo readme screenshots test check unit clean mini

help:
	@echo "make demo   set up, build the demo index, ask one query of each kind, serve the app on 127.0.0.1:8501"
	@echo "make test   set up, then format, lint, types, layers, unit, real-data and browser tests"
	@echo "make venv   set up only"
	@echo "make mini   train the default space again and print its quality"
	@echo "make readme make the README's picture and outputs again from the demo"
	@echo "make screenshots take the README's pictures of the app again, on the demo's index"

venv: $(VENV)/.done

# A half-made environment has no .done and is made again. The last step fetches OpenSeadragon for the slide viewer, the
# one thing that pip cannot; where that fails, the app shows plain maps and says so.
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[cpu,dev]"
	-$(BIN)/python -m app.viewer.assets
	touch $@

demo: venv
	$(BIN)/histoseek demo --out demo

readme: venv
	$(BIN)/histoseek demo --out demo --no-serve
	cp demo/gallery/overview.png docs/demo.png
	$(BIN)/python docs/refresh.py

screenshots: venv
	$(BIN)/histoseek demo --out demo --no-serve
	$(BIN)/python docs/screenshots.py demo/index

# Two workers of one thread each, a file at a time: what a file sets up is set up once, and the app, the longest, starts first.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

unit: venv
	$(BIN)/python -m pytest -m "not real and not browser"

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mini: venv
	$(BIN)/histoseek train mini --out encoders/spaces/mini

clean:
	rm -rf $(VENV) build dist *.egg-info demo
