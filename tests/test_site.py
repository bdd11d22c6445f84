"""The site: every page is in its contents, and the generated reference has all of the code in it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from hubbub.bounds import table
from hubbub.option import options_of
from hubbub.service.cli import COMMANDS
from hubbub.service.plugins.discovery import Plugins

DOCS = Path(__file__).parent.parent / "docs"
INDEX = (DOCS / "index.md").read_text()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        from generated import write_reference

        folder = tmp_path_factory.mktemp("site") / "reference"
        write_reference(folder)
        sys.modules.pop("generated")
    return {path.stem: path.read_text() for path in folder.iterdir()}


def test_every_page_is_in_the_contents(reference: dict[str, str]) -> None:
    listed = re.findall(r"^([a-z][a-z/-]+)$", "\n".join(re.findall(r"```{toctree}\n(.*?)```", INDEX, re.DOTALL)), re.M)
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"} | {f"reference/{name}" for name in reference}
    assert sorted(listed) == sorted(pages)


def test_links_between_pages_lead_somewhere(reference: dict[str, str]) -> None:
    for page in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (DOCS / link).exists(), (page.name, link)


def test_the_reference_has_every_command_plugin_key_and_limit(reference: dict[str, str]) -> None:
    for command in COMMANDS:
        if command[0] != "-" and command not in ("help", "version"):
            assert f"\n## hubbub {command}\n" in reference["commands"]
    for plugin in Plugins():
        assert f"\n## {plugin.name}\n" in reference["plugins"]
        for name in options_of(plugin.load()):
            assert f"{name.rstrip('_').replace('_', '-')}=`" in reference["plugins"]
    for name, default, _ in table():
        assert f"| `{name}` | `{default}` |" in reference["limits"]


def test_the_reference_has_what_plugins_import(reference: dict[str, str]) -> None:
    for name in ("Publish", "QosPublish", "Request", "Subscribe", "Ack", "Dialect", "LineDialect", "Handler", "option",
                 "EndReader", "check_topic", "Refusal", "DialectContract", "World"):  # fmt: skip
        assert f"\n### {name}\n" in reference["python"], name
