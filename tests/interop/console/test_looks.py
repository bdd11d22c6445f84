"""What axe finds in each view of the console, and how it looks.

Screenshots of each view stand in `.screenshots/` afterwards; with HUBBUB_FULL=1 both widths in both colours.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from interop.console.page import opened
from scale import FULL

SHOTS = Path(__file__).parents[3] / ".screenshots"
AXE = Path(sys.prefix) / "node-console" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ("overview", "topics", "live", "history", "send", "links", "health")
# Links and buttons that a person would have to scroll to the side for.
BEYOND = """
Array.from(document.querySelectorAll("a, button, input, select"))
  .filter(one => one.checkVisibility() && !one.closest(".skip") && one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => one.outerHTML)
"""
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DARK = {"color_scheme": "dark"}
MODES: dict[str, dict[str, Any]] = {"desktop": DESKTOP, "phone-dark": PHONE | DARK}  # both widths, and both colours
if FULL:
    MODES |= {"desktop-dark": DESKTOP | DARK, "phone": PHONE}


@pytest.mark.parametrize("mode", MODES)
def test_what_axe_says_of_each_view_and_how_it_looks(daemon, browser, tcp, mode):
    if not AXE.exists():
        pytest.skip("axe-core isn't there: tools/node-packages .venv/node-console tests/interop/console")
    SHOTS.mkdir(exist_ok=True)
    page, faults = opened(browser, daemon.url(scheme="http"), bypass_csp=True, **MODES[mode])
    page.add_script_tag(content=AXE.read_text())
    found: list[str] = []
    for name in VIEWS:
        tcp.send('PUB plant/hall/temperature {"inside": 21.5}')
        asked = {"topics": "?topic=plant/hall/temperature", "live": "?filter=%23", "history": "?filter=plant/%23"}
        where = name + asked.get(name, "")
        page.evaluate("where => { location.hash = where; }", where)
        expect(page.locator(f"#{name}")).to_be_visible()
        tcp.send('PUB plant/hall/temperature {"inside": 22.5}')
        seen = {
            "overview": "#flow li", "topics": "#detail canvas", "live": "#tail > details",
            "history": "#past-rows > details", "links": "#links-rows tr", "health": "#plugins li", "send": "#message",
        }[name]  # fmt: skip
        expect(page.locator(seen).first).to_be_visible()
        page.screenshot(path=SHOTS / f"{mode}-{name}.png")
        results = page.evaluate("axe.run({resultTypes: ['violations']})")
        found += [f"{name}: {one['id']} {[node['target'] for node in one['nodes']]}" for one in results["violations"]]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is {wider} pixels too wide"
        beyond = page.evaluate(BEYOND)
        assert beyond == [], f"{name}: beyond the edge of the window"
    page.context.close()
    assert found == []
    assert faults == []
