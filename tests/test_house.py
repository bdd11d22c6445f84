"""What each file may import, and how long and how deep things may be: `docs/design.md`, 'Folders and imports'."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from source_graph import deep_classes, find_circle, import_graph, read_sources

ROOT = Path(__file__).parents[1]
PLUGINS = frozenset(
    path.stem
    for path in (ROOT / "plugins").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
    if path.stem != "__init__"
)
LINES = 400
FUNCTION_LINES = 50
LEVELS = 2  # of inheritance, within the project
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
REACTOR = "twisted.internet.reactor"

# Besides the standard library, ring 0 and its own package, a file in ... may import ...
RINGS = {
    "hubbub": ("mypy_extensions",),  # which does nothing where nothing is compiled
    "hubbub.kernel": ("mypy_extensions",),
    "hubbub.dialects": ("msgspec",),
    "hubbub.nats_protocol": ("msgspec", "cryptography"),
    "hubbub.transports": ("twisted", "autobahn", "zope", "mypy_extensions", "librt"),  # the last for what is compiled
    "hubbub.storage": ("hubbub.kernel", "apsw", "msgspec"),
    "hubbub.client": ("hubbub.transports", "msgspec", "twisted"),
    "hubbub.service": ("*",),
    "hubbub.testing": ("*",),
}
SHARED = ("hubbub.nats_protocol",)  # of these, what plugins may import too


def imports(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, dotted name, whether it happens when the module is loaded) for each import in `tree`.

    `from a import b` gives `a.b`, as b may be a module; import_module("a.b") counts too.
    """
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, at_once = waiting.pop()
        at_once = at_once and not isinstance(node, FUNCTIONS)
        waiting += [(child, at_once) for child in ast.iter_child_nodes(node)]
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        for name in names:
            yield node.lineno, name, at_once


def _called(function: ast.expr) -> str:
    """Return the last part of the name of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def ring_of(module: str) -> str:
    """Name the package that decides what `module` may import; a file directly in hubbub/ is ring 0."""
    parts = module.split(".")
    in_package = len(parts) > 2 or f"hubbub.{parts[-1]}" in RINGS
    return ".".join(parts[:2]) if in_package else "hubbub"


def is_public(name: str) -> bool:
    """Tell whether `name` is hubbub itself, something it exports, in ring 0, or in a package that plugins share."""
    parts = name.split(".")
    if any(part.startswith("_") for part in parts):
        return False
    return len(parts) == 1 or f"hubbub.{parts[1]}" not in RINGS or f"hubbub.{parts[1]}" in SHARED


def daemon_may_import(module: str, name: str) -> bool:
    top = name.partition(".")[0]
    ring = ring_of(module)
    if within(name, "hubbub.testing") and ring != "hubbub.testing":
        return False
    if top == "hubbub":
        others = [one for one in RINGS[ring] if one.startswith("hubbub.")]
        own = ring != "hubbub" and within(name, ring)
        return RINGS[ring] == ("*",) or is_public(name) or own or any(within(name, one) for one in others)
    return top in sys.stdlib_module_names or top in RINGS[ring] or RINGS[ring] == ("*",)


def plugin_may_import(module: str, name: str) -> bool:
    top = name.partition(".")[0]
    if top == "hubbub":
        return is_public(name)
    own = ".".join(module.split(".")[:2])
    return within(name, own) if top == "hubbub_plugins" else top != "plugins"


def names_a_plugin(name: str) -> bool:
    parts = name.split(".")
    if parts[0] in ("plugins", "hubbub_plugins"):
        return True
    if parts[0] == "hubbub":
        return not PLUGINS.isdisjoint(parts)
    return parts[0] in PLUGINS - sys.stdlib_module_names


def module_of(path: PurePosixPath) -> str:
    """daemon/hubbub/kernel/hub.py -> hubbub.kernel.hub; plugins/upper.py -> hubbub_plugins.upper."""
    parts = path.with_suffix("").parts
    parts = ("hubbub_plugins", *parts[1:]) if parts[0] == "plugins" else parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def faults(path: PurePosixPath, source: str) -> Iterator[str]:
    """Yield one line for each rule that the file breaks; `path` is relative to the root."""
    tree = ast.parse(source)
    if (lines := source.count("\n")) >= LINES:
        yield f"{path}: {lines} lines, the bound is {LINES}"
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and (lines := node.end_lineno - node.lineno + 1) >= FUNCTION_LINES:
            yield f"{path}:{node.lineno}: {node.name} has {lines} lines, the bound is {FUNCTION_LINES}"
        if isinstance(node, FUNCTIONS):
            yield from (
                f"{path}:{line}: an exception binds as `error` or `refusal`, not as `{name}`"
                for line, name in misnamed(node)
            )
    found = list(imports(tree))
    for line, name, at_once in found:
        if at_once and within(name, REACTOR):
            yield f"{path}:{line}: {REACTOR} is imported when the module is loaded"
    if path.parts[0] == "plugins":
        yield from foreign(path, found, plugin_may_import)
    elif path.parts[:2] == ("daemon", "hubbub"):
        if path.name != "__main__.py":
            yield from foreign(path, found, daemon_may_import)
        yield from (f"{path}:{line}: names a plugin, {name}" for line, name, _ in found if names_a_plugin(name))
        if "hubbub_plugins" in source:
            yield f"{path}: names hubbub_plugins"


def misnamed(function: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each exception that is neither `error` nor `refusal`, where these names are free."""
    nodes = list(ast.walk(function))
    taken = {node.id for node in nodes if isinstance(node, ast.Name)}
    taken |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    if taken.isdisjoint(("error", "refusal")):
        for node in nodes:
            if isinstance(node, ast.ExceptHandler) and node.name not in (None, "error", "refusal"):
                yield node.lineno, node.name


def foreign(path: PurePosixPath, found: list[tuple[int, str, bool]], may_import) -> Iterator[str]:
    module = module_of(path)
    for line, name, _ in found:
        if name.startswith("."):
            yield f"{path}:{line}: a relative import, {name}"
        elif not may_import(module, name):
            yield f"{path}:{line}: {module} may not import {name}"


def sources() -> Iterator[Path]:
    for folder in ("daemon/hubbub", "daemon/twisted", "plugins", "tests", "bench"):
        yield from (ROOT / folder).rglob("*.py")


def test_every_file_keeps_to_the_house():
    files = list(sources())
    assert len(files) > 20
    broken = [
        fault
        for path in files
        for fault in faults(PurePosixPath(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]
    assert not broken, "\n" + "\n".join(broken)


def test_no_imports_make_a_circle():
    graph = import_graph(read_sources(ROOT))
    assert "hubbub.kernel.hub" in graph["hubbub.service.daemon"]
    assert "hubbub_plugins.mqtt.dialect" in graph["hubbub_plugins.mqtt"]
    assert find_circle(graph) == []


@pytest.mark.parametrize(
    "how", ["from a.c import C", "import a.c", "from a import c", "if TYPE_CHECKING:\n    import a.c"]
)
def test_a_circle_is_found(how):
    sources = {"a": "", "a.b": how, "a.c": "def late():\n    from a.d import D", "a.d": "from a.b import B"}
    assert set(find_circle(import_graph(sources))) == {"a.b", "a.c", "a.d"}
    assert find_circle(import_graph({**sources, "a.d": "import json"})) == []


def test_no_class_inherits_over_many_levels():
    assert list(deep_classes(read_sources(ROOT), LEVELS)) == []


def test_a_class_that_inherits_over_many_levels_is_found():
    """An exported name is another name of the same class; classes of others don't count."""
    sources = {
        "a": "from a.b import Base",
        "a.b": "from twisted.web.resource import Resource\nclass Base(Resource): ...",
        "a.c": "from a import Base\nclass Two(Base): ...\nclass Three(Two, Generic[T]): ...\nclass Other(Two): ...",
        "a.d": "from a import c\nclass Four(c.Three[int]): ...",
    }
    assert list(deep_classes(sources, 2)) == ["a.d.Four > a.c.Three > a.c.Two > a.b.Base"]
    assert list(deep_classes(sources, 3)) == []


RING_0, KERNEL = "daemon/hubbub/topics.py", "daemon/hubbub/kernel/hub.py"
DIALECT, TRANSPORT = "daemon/hubbub/dialects/lines.py", "daemon/hubbub/transports/tcp.py"
SERVICE, PLUGIN = "daemon/hubbub/service/tap.py", "plugins/upper.py"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (RING_0, "import twisted"),
        (RING_0, "import msgspec"),
        (RING_0, "from hubbub.kernel import hub"),
        (RING_0, "from hubbub import kernel"),
        ("daemon/hubbub/__init__.py", "from hubbub.service import tap"),
        (KERNEL, "from twisted.internet.defer import Deferred"),
        (KERNEL, "from hubbub.dialects.lines import Lines"),
        (KERNEL, "def f():\n    import msgspec"),
        ("daemon/hubbub/kernel/__init__.py", "import twisted"),
        (DIALECT, "from hubbub.kernel.hub import Hub"),
        (DIALECT, "from twisted.internet import defer"),
        (DIALECT, "import importlib\nimportlib.import_module('hubbub.kernel.hub')"),
        (DIALECT, "from .raw import Raw"),
        (TRANSPORT, "from hubbub.kernel import link"),
        (TRANSPORT, "import hubbub.dialects.lines"),
        (TRANSPORT, "import msgspec"),
        (TRANSPORT, "from hubbub.service.links import listener"),
        (SERVICE, "from hubbub.testing import pump"),
        (SERVICE, "from hubbub_plugins.upper import Upper"),
        (SERVICE, "NAME = 'hubbub_plugins.upper:Upper'"),
        (SERVICE, "from hubbub.dialects import upper"),
        (SERVICE, "import upper"),
        (SERVICE, "import plugins.upper"),
        (SERVICE, "from twisted.internet import reactor"),
        (SERVICE, "if True:\n    import twisted.internet.reactor"),
        (SERVICE, "class A:\n    from twisted.internet.reactor import callLater"),
        (PLUGIN, "from twisted.internet import reactor"),
        (PLUGIN, "from hubbub.kernel.hub import Hub"),
        (PLUGIN, "import hubbub.service"),
        (PLUGIN, "from hubbub import _private"),
        (PLUGIN, "from hubbub_plugins.clock import Clock"),
        (PLUGIN, "from hubbub_plugins import clock"),
        (PLUGIN, "from plugins.upper import Upper"),
        ("plugins/mqtt/codec.py", "from hubbub_plugins.upper import Upper"),
        ("tests/test_x.py", "from twisted.internet import reactor"),
        ("tests/test_x.py", "\n" * LINES),
        ("tests/test_x.py", "def f():\n" + "    pass\n" * (FUNCTION_LINES - 1)),
        (PLUGIN, "async def f():\n" + "    pass\n" * (FUNCTION_LINES - 1)),
        (PLUGIN, "def f():\n    try:\n        g()\n    except ValueError as e:\n        h(e)"),
    ],
)
def test_what_breaks_a_rule_is_found(path, source):
    assert list(faults(PurePosixPath(path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (RING_0, "import re\nfrom hubbub import limits\nfrom hubbub.errors import BadTopic"),
        ("daemon/hubbub/__main__.py", "from hubbub.service.cli import main"),
        (KERNEL, "from hubbub.kernel.routing.trie import Trie\nfrom hubbub.events import Event"),
        (DIALECT, "import msgspec\nfrom hubbub.framing import EndReader\nfrom hubbub.dialects import raw"),
        (TRANSPORT, "from autobahn.twisted import websocket\nfrom zope.interface import implementer"),
        (TRANSPORT, "def f():\n    from twisted.internet import reactor"),
        (
            SERVICE,
            "from hubbub.kernel.hub import Hub\nfrom hubbub.dialects.lines import Lines\nimport tomllib",
        ),
        (SERVICE, "import syslog"),
        ("daemon/hubbub/testing/pump.py", "from hubbub.kernel.connection.link import Link\nimport hypothesis"),
        (PLUGIN, "import numpy\nfrom hubbub import Handler, on\nfrom hubbub.framing import EndReader"),
        ("plugins/mqtt/codec.py", "from hubbub_plugins.mqtt.packets import Packet"),
        (PLUGIN, "def f():\n" + "    pass\n" * (FUNCTION_LINES - 2)),
        (PLUGIN, "def f():\n    try:\n        g()\n    except ValueError as error:\n        h(error)"),
        (PLUGIN, "def f(error):\n    try:\n        g()\n    except ValueError as failure:\n        h(failure, error)"),
    ],
)
def test_what_keeps_the_rules_is_left_alone(path, source):
    assert list(faults(PurePosixPath(path), source)) == []


LOAD_EVERYTHING = """
import sys
from importlib.metadata import entry_points
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
import hubbub.service.tap

assert "hubbub" in [maker.tapname for maker in getPlugins(IServiceMaker)]
for name in {names!r}:
    __import__("hubbub_plugins." + name)
for point in entry_points(group="hubbub.plugins"):
    point.load()
print(*(name for name in sys.modules if name.partition(".")[0] == "plugins"))
"""


def test_a_plugin_has_one_name():
    """Loaded as `plugins.upper` too, its classes would exist twice; the root is where it could happen."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_EVERYTHING.format(names=sorted(PLUGINS))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "\n", "")


def test_twisted_finds_its_plugin_folder_by_path():
    """With an __init__.py in either folder Python would take them for Twisted itself."""
    assert list((ROOT / "daemon/twisted").rglob("__init__.py")) == []
    assert (ROOT / "daemon/hubbub_plugins").readlink() == Path("../plugins")
