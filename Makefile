# Two commands: `make bench` runs the benchmarks, `make test` passes the tests. Each sets everything
# up in .venv first. Needs make and Python 3.10 to 3.12 on Debian or Ubuntu.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?= --board local --dataset synthetic --detector auto --variant float32,dynamic,int8 \
	--benchmark-columns=median,min,max,rounds

.PHONY: bench test lint
bench: $(VENV)/ready
	$(BIN)/pytest benchmarks/ $(BENCH)

test: $(VENV)/ready
	@scripts/system-packages sshd
	$(BIN)/pytest tests/ -n 2 --dist loadfile --durations 25

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vermin -q -t=3.7- --no-tips --violations --eval-annotations \
		$$(find rppg_core harness/boards/onboard harness/boards/agent.py -name '*.py' \
		-not -path '*/lightening/*')

$(VENV)/ready: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) scripts/system-packages venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt setuptools
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e '.[lightening,dev]'
	@touch $@
