# `make run` and `make test` do all of their own set-up; everything else is a part of them.
#   make run ARGS="--tcp tcp:7000"     start hubbub with options
#   make test ARGS="-k topics"         run some of the tests
#   PYTHON=/opt/python3.13/bin/python3 make test

VENV := .venv
BIN := $(VENV)/bin
COMPILED := .venv-compiled
OBJECTS := .compiled
ARGS :=
# Two for each of two cores: tests wait for deadlines and other programs for half of their time. tests/conftest.py
# chooses the order, as xdist's own begins with the modules of many tests, and these aren't the ones that take long.
WORKERS := -n 4 --dist loadscope --no-loadscope-reorder
SECONDS := 600
TARGETS :=
SUITE :=

# What a developer's shell may have set must not leak into ours.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE VIRTUAL_ENV

.PHONY: run test test-all check node servers collect objects format compiled bench fuzz conformance schemathesis conformance-page soak soak-cluster docs \
    wheel deb deb-test clean

run:
	@tools/venv $(VENV) ais state
	@exec $(BIN)/hubbub run $(ARGS)

test:
	@tools/system-packages chromium=chromium netcat-openbsd=nc socat=socat bsdutils=logger ser2net=ser2net \
	    gpsd=gpsd nginx-light=nginx haproxy=haproxy collectd-core=collectd mosquitto=mosquitto_passwd mosquitto-clients=mosquitto_sub \
	    systemd=systemd-socket-activate gcc=cc libc6-dev=cc python3-dev=python3-config
	@tools/venv $(VENV) test check
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=target check node $(if $(ARGS),,collect objects)
	$(BIN)/pytest $(WORKERS) $(ARGS)

# What `make test` leaves out: every cell of the tables, whole crowds, an interpreter of its own for each daemon, and
# then all tests once more against the compiled modules.
test-all: export HUBBUB_FULL := 1
test-all: servers test objects
	PYTHONPATH="$(CURDIR)/$(OBJECTS)/tree/daemon" $(BIN)/pytest $(WORKERS) $(ARGS)

check:
	@tools/venv $(VENV) test check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/towncrier build --draft --version next > /dev/null

# What the tests need beside Debian's packages and the venv.
node:
	@tools/node-packages $(VENV)/node tests/interop/mqtt
	@tools/node-packages $(VENV)/node-senders tests/interop/senders
	@tools/node-packages $(VENV)/node-nats tests/interop/nats
	@tools/node-packages $(VENV)/node-stomp tests/interop/stomp
	@tools/node-packages $(VENV)/node-console tests/interop/console
	@tools/node-packages $(VENV)/node-wamp tests/interop/wamp
	@tools/unpacked-packages $(VENV)/debian rsyslog syslog-ng-core busybox-static paho.mqtt.c-examples \
	    python3-gps alone:gpsd-clients

# Servers that are compared with hubbub, and too large for each run of the tests.
servers:
	@tools/venv $(VENV) test check
	@tools/unpacked-packages $(VENV)/debian-rabbitmq rabbitmq-server
	@test -x $(VENV)/crossbar/bin/crossbar || { $(BIN)/python -m venv $(VENV)/crossbar && \
	    $(VENV)/crossbar/bin/pip install --quiet crossbar==26.10.1; }

objects:
	@tools/venv $(VENV) test check
	@tools/compile $(OBJECTS) $(BIN)/python

# Imports all tests once they have changed: four workers that begin at once would each compile them.
collect: $(VENV)/collected

$(VENV)/collected: $(shell find tests -name '*.py')
	@tools/venv $(VENV) test check
	@$(BIN)/pytest --collect-only -qq > $@ || { cat $@; rm $@; exit 1; }

# ruff's formatter is the one policy: run it, don't argue with it.
format:
	@tools/venv $(VENV) test check
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The hot modules as C, in a venv of its own, for `make bench`.
compiled:
	@tools/system-packages gcc=cc libc6-dev=cc python3-dev=python3-config
	@HUBBUB_COMPILE=1 tools/venv $(COMPILED) $(EXTRAS)

bench:
	@tools/system-packages gcc=cc libc6-dev=cc libssl-dev=cc mosquitto=mosquitto redis-server=redis-server
	@tools/venv $(VENV)
	@$(MAKE) --no-print-directory compiled
	$(BIN)/pip install --quiet --requirement bench/requirements.txt
	$(BIN)/python -m bench $(ARGS)

# Every parser, with coverage, for ten minutes each: make fuzz TARGETS="lines json" SECONDS=60. Findings become tests.
fuzz:
	@tools/venv $(VENV) test fuzz
	@set -e; for target in $(or $(TARGETS),$$($(BIN)/python tests/fuzz/run.py)); do \
	    echo "fuzzing $$target for $(SECONDS) s"; $(BIN)/python tests/fuzz/run.py $$target $(SECONDS); done

# Autobahn's test suite for WebSocket; without its dependencies, which are old copies of ours.
conformance:
	@tools/venv $(VENV) test
	$(BIN)/pip install --quiet --no-deps kosoku==0.1.0
	$(BIN)/python tests/conformance/run.py

# Whether HTTP does what /api/openapi.json says. ARGS are those of `schemathesis run`.
schemathesis:
	@tools/venv $(VENV) test
	@test -x $(VENV)/schemathesis/bin/st || { $(BIN)/python -m venv $(VENV)/schemathesis && \
	    $(VENV)/schemathesis/bin/pip install --quiet schemathesis==4.32.5; }
	$(BIN)/python tests/conformance/openapi.py $(ARGS)

# docs/mqtt-conformance.md, from the markers of the tests.
conformance-page:
	@tools/venv $(VENV) test
	$(BIN)/python tests/mqtt_conformance.py

# 1,000 mixed clients through 100 reloads and 20 restarts; a daemon with --state that is killed again and again; then half
# an hour of clients that come and go, which has to leave memory and descriptors flat: make soak SECONDS=60.
# docs/operating.md and docs/durability.md have the figures of one.
soak: SECONDS := 1800
soak:
	@tools/venv $(VENV) test
	HUBBUB_SOAK_CLIENTS=1000 HUBBUB_SOAK_RELOADS=100 HUBBUB_SOAK_RESTARTS=20 $(BIN)/pytest tests/system/test_under_load.py \
	    tests/system/test_fleet.py
	HUBBUB_SOAK_CRASH=$(SECONDS) $(BIN)/pytest -s tests/system/test_crash.py
	cd tests && ../$(BIN)/python -m soak $(SECONDS)

# Three machines of a cluster on which servers, nodes and links fail in turn; docs/cluster.md has the figures of one run.
soak-cluster: SECONDS := 1800
soak-cluster:
	@tools/venv $(VENV) test
	cd tests && ../$(BIN)/python -m soak_cluster $(SECONDS)

# site/: the documentation as HTML. A warning fails, and so does a link that leads nowhere in it.
docs:
	@tools/venv $(VENV) test
	$(BIN)/pip install --quiet --requirement docs/requirements.txt
	$(BIN)/sphinx-build -q -W --keep-going -b html docs site

# dist/: the wheel of plain Python, and the one whose hot modules are compiled for the Python of the venv.
wheel:
	@tools/system-packages gcc=cc libc6-dev=cc python3-dev=python3-config
	@tools/venv $(VENV) test
	@tools/wheels dist $(BIN)/python

# dist/: a Debian package, for the Debian of this machine or for SUITE=trixie; deb-test installs, upgrades and purges it
# in a chroot, then under systemd.
deb:
ifeq ($(SUITE),)
	@tools/system-packages python3-venv=python3
	@tools/deb dist
else
	@tools/system-packages mmdebstrap=mmdebstrap
	@tools/deb-elsewhere dist $(SUITE)
endif

deb-test:
	@tools/system-packages mmdebstrap=mmdebstrap
	@package=$$($(MAKE) --no-print-directory deb) && echo "$$package" && tools/deb-test "$$package" $(SUITE)

clean:
	rm -rf $(VENV) $(COMPILED) $(OBJECTS) build dist daemon/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
