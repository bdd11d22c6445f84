# `make run` and `make test` do all of their own set-up; everything else is a part of them.
#   make run ARGS="--tcp tcp:7000"     start hubbub with options
#   make test ARGS="-k topics"         run some of the tests
#   PYTHON=/opt/python3.13/bin/python3 make test

VENV := .venv
BIN := $(VENV)/bin
ARGS :=

# What a developer's shell may have set must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: run test check format bench clean

run:
	@tools/venv $(VENV) nmea
	@exec $(BIN)/hubbub run $(ARGS)

test:
	@tools/system-packages chromium=chromium netcat-openbsd=nc socat=socat bsdutils=logger
	@$(MAKE) --no-print-directory check
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check:
	@tools/venv $(VENV) test check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/towncrier build --draft --version next > /dev/null

# ruff's formatter is the one policy: run it, don't argue with it.
format:
	@tools/venv $(VENV) test check
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench:
	@tools/system-packages gcc=cc libc6-dev=cc mosquitto=mosquitto redis-server=redis-server
	@tools/venv $(VENV)
	$(BIN)/pip install --quiet --requirement bench/requirements.txt
	$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) build dist daemon/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
