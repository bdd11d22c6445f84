"""schemathesis against /api/openapi.json, `make schemathesis`: every operation, with all of its checks.

The daemon has a history and logins that permit everything; schemathesis comes once with one and once without.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from running import Daemon  # noqa: E402
from service.test_passwords import cheap  # noqa: E402

SCHEMATHESIS = Path(sys.prefix) / "schemathesis" / "bin" / "st"
RULES = """
[[rule]]
who.user = "ann"
allow.publish = "#"
allow.subscribe = "#"
allow.manage = "$hubbub/#"
"""
OPTIONS = ("--auth", "hubbub:passwords", "--permissions", "permissions.toml", "--history", "#")


def main() -> int:
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "passwords").write_text(f"ann:{cheap('a')}\n")
        (Path(folder) / "permissions.toml").write_text(RULES)
        with Daemon("--websocket", "tcp:0", *OPTIONS, folder=Path(folder)) as daemon:
            url = daemon.url(scheme="http") + "api/openapi.json"
            for login in (["--auth", "ann:a"], []):
                command = [SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", *login, *sys.argv[1:], url]
                status |= subprocess.run(command, check=False, cwd=folder).returncode
        if "Traceback" in daemon.log:
            print(daemon.log)  # noqa: T201
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
