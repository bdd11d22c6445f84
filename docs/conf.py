"""Builds the site: `make docs`. The reference is generated from docstrings, options and help texts."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"\[([^\]]+)\]\(#([^)]+)\)")
PAGE = re.compile(r"\[([\w-]+\.md)\](?=\(\1[#)])")
sys.path.insert(0, str(HERE))

from generated import write_reference  # noqa: E402  it stands beside this file

project = "hubbub"
release = metadata.version("hubbub")
copyright = "the authors of hubbub, MIT licence"
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["requirements.txt"]
html_theme = "furo"
html_title = f"hubbub {release}"
html_copy_source = False
linkcheck_anchors = False
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]  # console blocks have answers of servers in them

write_reference(HERE / "reference")


def setup(app: Any) -> None:
    """Have the links that lead to an anchor of HTML in their page resolved: MyST knows those of headings alone."""
    app.connect("source-read", resolve_anchors)
    app.connect("source-read", show_titles)


def show_titles(app: Any, name: str, source: list[str]) -> None:
    """Replace the text of a link that is the name of a page by the title of that page."""
    source[0] = PAGE.sub(lambda link: f"[{title(link[1])}]", source[0])


def title(page: str) -> str:
    """Return the heading of a page."""
    return (HERE / page).read_text().partition("\n")[0].removeprefix("# ")


def resolve_anchors(app: Any, name: str, source: list[str]) -> None:
    """Write a link to an anchor as HTML; one that leads to no anchor stays, and MyST warns of it."""
    anchors = set(ANCHOR.findall(source[0]))

    def resolved(link: re.Match[str]) -> str:
        return f'<a href="#{link[2]}">{link[1]}</a>' if link[2] in anchors else link[0]

    source[0] = LINK.sub(resolved, source[0])
