"""`--watch`: a changed plugin takes effect by itself."""

from __future__ import annotations

import shutil

from twisted.internet.task import Clock

from hubbub import limits
from hubbub.service.plugins.watcher import PluginWatcher
from running import Daemon, LineClient

PLUGIN = """
from hubbub import Handler, on

class Greeter(Handler):
    @on("hello")
    def greet(self, message):
        message.reply("{}")
"""


def test_each_change_reloads_once(tmp_path):
    clock, reloads = Clock(), []
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "one.py").write_text("1")
    watcher = PluginWatcher(clock, lambda: [folder], lambda: reloads.append(1))
    watcher.start()

    def changed():
        clock.pump([limits.WATCH_SECONDS] * 2)
        found = len(reloads)
        reloads.clear()
        return found

    assert changed() == 0
    (folder / "one.py").write_text("12")
    assert changed() == 1
    (folder / "two.py").write_text("1")
    (folder / "notes.txt").write_text("1")
    assert changed() == 1
    (folder / "two.py").unlink()
    assert changed() == 1
    shutil.rmtree(folder)
    assert changed() == 1
    watcher.stop()
    assert not clock.getDelayedCalls()


def test_a_running_daemon_takes_it_up(tmp_path):
    file = tmp_path / "greeter.py"
    file.write_text(PLUGIN.format("one"))
    options = ("--plugin-dir", str(tmp_path), "--watch", "--handler", "greeter")
    with Daemon("--tcp", "tcp:0", *options) as daemon, LineClient(daemon.tcp[0]) as client:
        assert client.ask("REQ hello x") == "REP one"
        file.write_text("no python")
        daemon.wait_for("not reloaded: .*SyntaxError")
        assert client.ask("REQ hello x") == "REP one"
        file.write_text(PLUGIN.format("second"))
        daemon.wait_for("reloaded: greeter.py changed")
        assert client.ask("REQ hello x") == "REP second"
