# Two commands are all the set-up there is: make demo, make test.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# torch's idle threads spin by default, which starves whatever else runs on the same cores (the command sees to itself).
test starter: export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check format starter clean

demo: $(STAMP)
	$(BIN)/nameplate demo

test: check
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

starter: $(STAMP)
	$(BIN)/python -m starter

clean:
	rm -rf $(VENV) demo-run runs build dist src/*.egg-info

# The environment is made anew when what it is made from has changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("nameplate needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
