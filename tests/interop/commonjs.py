"""Packages of npm that are CommonJS, in a page: what a bundler would do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from running import STILL

LOADER = """
const load = ((files, mains) => {
  const loaded = {};
  function find(from, name) {
    if (!name.startsWith(".")) return mains[name];
    const parts = from.split("/").slice(0, -1);
    for (const part of name.split("/")) {
      if (part === "..") parts.pop(); else if (part !== ".") parts.push(part);
    }
    const path = parts.join("/");
    return path in files ? path : path + ".js";
  }
  function require(from, name) {
    const path = find(from, name);
    if (!(path in loaded)) {
      const module = loaded[path] = { exports: {} };
      new Function("require", "module", "exports", files[path])(one => require(path, one), module, module.exports);
    }
    return loaded[path].exports;
  }
  return name => require("", name);
})(%s, %s);
"""


def bundle(folder: Path, *packages: str) -> str:
    """Return a script with `load(name)`, which loads one of the packages of `folder`; it needs all that they need."""
    files, mains = {}, {}
    for package in packages:
        said = json.loads((folder / package / "package.json").read_text())
        mains[package] = f"{package}/{(said.get('main') or said['exports']['.']).removeprefix('./')}"
        for path in (folder / package).rglob("*.js"):
            files[str(path.relative_to(folder))] = path.read_text()
    return LOADER % (json.dumps(files), json.dumps(mains))


class Page:
    """A page of Chromium that runs a driver, as Node does: one that the hub of the client itself has served.

    script  what is run in each page: the driver, and what it needs
    """

    def __init__(self, page: Any, script: Sequence[str]) -> None:
        self._page = page
        self._script = script
        self._origin = ""

    def act(self, *said: Any) -> Any:
        return self._page.evaluate("said => act(...said)", list(said))

    def go(self, host: str, port: int) -> None:
        """Be in a page of the hub that listens there."""
        origin = f"http://{host}:{port}/"
        if origin != self._origin:
            self._page.goto(origin + STILL)
            for script in self._script:
                self._page.add_script_tag(content=script)
            self._origin = origin
