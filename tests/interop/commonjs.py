"""Packages of npm that are CommonJS, in a page: what a bundler would do."""

from __future__ import annotations

import json
from pathlib import Path

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
