"""Where plugins are found, when a file is run again, and what is said of one that can't be."""

from __future__ import annotations

import os
import py_compile
import sys
from pathlib import Path

import pytest

from hubbub import ConfigError
from hubbub.service.plugins.discovery import Plugins

HANDLER = '''\
from hubbub import Handler

class Shout(Handler):
    """{says}"""
'''


@pytest.fixture
def shout(tmp_path) -> Path:
    path = tmp_path / "shout.py"
    path.write_text(HANDLER.format(says="First."))
    return path


@pytest.fixture
def plugins(shout) -> Plugins:
    return Plugins([shout.parent])


def says(plugins: Plugins, name: str = "shout") -> str:
    return plugins.find("handler", name).__doc__


# Loading


def test_a_file_is_compiled_from_its_source_though_a_pyc_claims_to_be_newer(shout):
    py_compile.compile(str(shout), doraise=True)
    stat = shout.stat()
    shout.write_text(HANDLER.format(says="Other."))  # of the same size
    os.utime(shout, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert list((shout.parent / "__pycache__").glob("shout.*.pyc"))
    assert says(Plugins([shout.parent])) == "Other."


def test_what_begins_with_an_underscore_or_a_dot_is_no_plugin(shout):
    for name in ("_help.py", ".#shout.py"):
        shout.with_name(name).write_text("raise RuntimeError")
    changes = Plugins([shout.parent]).look()
    assert (changes.files, changes.broken) == ([], {})


def test_a_plugin_of_a_folder_comes_before_an_installed_one(tmp_path):
    (tmp_path / "mine.py").write_text(HANDLER.format(says="Mine.").replace("Shout", "Upper"))
    assert says(Plugins([tmp_path]), "upper") == "Mine."
    assert says(Plugins(), "upper") != "Mine."


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("")], ids=["missing", "a file"])
def test_a_folder_that_is_none(tmp_path, make):
    make(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"^--plugin-dir .*/none: [^\n]+$"):
        Plugins([tmp_path / "none"])


# Looking again


def test_an_unchanged_file_is_not_run_again(plugins, shout):
    before = plugins.find("handler", "shout")
    os.utime(shout, (0, 0))  # what counts is what is in it
    changes = plugins.look()
    assert (changes.files, changes.broken) == ([], {})
    assert plugins.find("handler", "shout") is before


def test_new_changed_and_gone(plugins, shout):
    shout.write_text(HANDLER.format(says="Second."))
    shout.with_name("whisper.py").write_text(HANDLER.format(says="Quiet.").replace("Shout", "Whisper"))
    assert plugins.look().files == ["shout.py changed", "whisper.py new"]
    assert (says(plugins), says(plugins, "whisper")) == ("Second.", "Quiet.")
    shout.unlink()
    assert plugins.look().files == ["shout.py gone"]
    assert not plugins.has("handler", "shout")
    with pytest.raises(ConfigError, match="unknown handler 'shout'"):
        plugins.find("handler", "shout")


def test_a_broken_file_keeps_what_it_was(plugins, shout):
    before = plugins.find("handler", "shout")
    module = sys.modules[before.__module__]
    shout.write_text("import json\n1 / 0\n")
    for _ in range(2):  # it is told each time
        changes = plugins.look()
        assert changes.files == []
        (why,) = changes.broken
        assert why == f"{shout}, line 2: ZeroDivisionError: division by zero; what it was before stays"
        assert plugins.find("handler", "shout") is before
        assert sys.modules[before.__module__] is module
    shout.write_text(HANDLER.format(says="First."))  # as it was: nothing to run
    changes = plugins.look()
    assert (changes.files, changes.broken) == ([], {})
    shout.write_text(HANDLER.format(says="Mended."))
    assert plugins.look().files == ["shout.py changed"]
    assert says(plugins) == "Mended."


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"class Shout(\n", r"line 1: SyntaxError: "),
        (b"import no_such_module_here\n", r"line 1: ModuleNotFoundError: No module named 'no_such_module_here'$"),
        (b"raise SystemExit\n", r"line 1: SystemExit: "),
        (b"\xff\n", r"(line 1: )?(SyntaxError|UnicodeDecodeError): "),
        (b"x = '\0'\n", r"(line 1: )?(SyntaxError|ValueError): "),
    ],
)
def test_a_file_that_never_ran_is_listed_with_its_reason_until_it_does(tmp_path, source, why):
    (tmp_path / "shout.py").write_bytes(source)
    plugins = Plugins([tmp_path])
    row = next(line for line in plugins.listing().splitlines() if line.startswith("broken"))
    assert row.split()[1] == "shout"
    with pytest.raises(ConfigError, match=rf"^handler shout can't be loaded: {tmp_path}/shout.py(, |: ){why}") as error:
        plugins.find("handler", "shout")
    assert "\n" not in str(error.value)
    (tmp_path / "shout.py").write_text(HANDLER.format(says="Mended."))
    plugins.look()
    assert says(plugins) == "Mended."


def test_a_folder_that_has_gone_changes_nothing(plugins, shout):
    before = plugins.find("handler", "shout")
    shout.parent.rename(f"{shout.parent}-elsewhere")
    with pytest.raises(ConfigError, match="no such folder"):
        plugins.look()
    assert plugins.find("handler", "shout") is before


# Listing and making


def test_the_listing_shows_a_missing_import_and_what_sighup_does(tmp_path):
    (tmp_path / "scale.py").write_text("import json\nimport no_such_module_here\n")
    listing = Plugins([tmp_path]).listing()
    row = next(line for line in listing.splitlines() if " scale " in line)
    assert row.startswith("broken")
    assert row.endswith(f"{tmp_path}/scale.py, line 2: ModuleNotFoundError: No module named 'no_such_module_here'")
    assert "SIGHUP" in listing
    assert "live links keep the one they have" in listing
    assert "SIGHUP" not in Plugins().listing()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("    def __init__(self):\n        raise OSError('no device')", "line 4: OSError: no device"),
        ("    x = option('a', lambda raw: 1 // 0)", "line 3: ZeroDivisionError"),
    ],
)
def test_a_plugin_that_cannot_be_made_is_one_line(tmp_path, body, why):
    (tmp_path / "frail.py").write_text(f"from hubbub import Handler, option\nclass Frail(Handler):\n{body}\n")
    with pytest.raises(ConfigError, match=f"^handler frail can't be made: .*/frail.py, {why}") as error:
        Plugins([tmp_path]).make("handler", "frail", {"x": "1"} if "option(" in body else {})
    assert "\n" not in str(error.value)


def test_the_same_options_give_the_same_class(plugins):
    assert plugins.configured("handler", "shout", {}) is plugins.configured("handler", "shout", {})
    assert type(plugins.make("handler", "shout", {})) is plugins.configured("handler", "shout", {})
