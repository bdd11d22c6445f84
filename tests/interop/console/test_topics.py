"""The tree of topics, and the topic that is chosen in it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from interop.console.page import follow, view


def test_the_tree_by_the_keyboard(console, tcp):
    view(console, "Topics")
    for value in ('{"inside": 21.5, "outside": -3}', '{"inside": 22.5, "outside": -4}'):
        tcp.send(f"PUB! plant/hall/temperature {value}")
    tree = console.get_by_role("tree")
    tree.get_by_role("treeitem", name="plant").press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="hall")).to_be_visible()
    console.keyboard.press("ArrowDown")
    expect(tree.locator(":focus")).to_contain_text("hall")
    console.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem", name="temperature")).to_be_visible()
    console.keyboard.press("ArrowDown")
    expect(tree.locator(":focus")).to_contain_text("temperature")
    expect(tree.locator(":focus")).to_contain_text("outside")
    expect(tree.locator(":focus .count")).to_have_text("2")
    console.keyboard.press("Enter")
    detail = console.get_by_role("region", name="The chosen topic")
    expect(detail).to_contain_text('"inside": 22.5,')
    expect(detail).to_contain_text("retainedyes")
    expect(detail.locator("canvas")).to_be_visible()
    expect(detail.locator(".u-legend")).to_contain_text("outside")
    tcp.send("PUB plant/hall/temperature 7")
    expect(detail.locator("pre")).to_have_text("7")
    detail.get_by_label("Form").select_option("hex")
    expect(detail.locator("pre")).to_contain_text("000000  37")
    tree.locator("[data-key='plant/hall/temperature']").press("ArrowLeft")
    expect(tree.locator(":focus")).to_contain_text("hall")
    console.keyboard.press("ArrowLeft")
    expect(tree.locator("[data-key='plant/hall/temperature']")).to_have_count(0)


def test_the_tree_opens_at_the_topic_of_the_address(console, tcp):
    """Also where it isn't among the first rows, and where a message comes only later."""
    for n in range(250):
        tcp.send(f"PUB wide/shelf/{n} {n}")
    tcp.ask("PING")
    tree, detail = console.get_by_role("tree"), console.get_by_role("region", name="The chosen topic")
    chosen = tree.locator("[aria-selected=true]")
    console.evaluate("location.hash = 'topics?topic=wide/shelf/240'")
    expect(chosen).to_have_attribute("data-key", "wide/shelf/240")
    expect(chosen).to_be_in_viewport()
    expect(detail.get_by_role("heading")).to_have_text("wide/shelf/240")
    console.evaluate("location.hash = 'topics?topic=wide/later/x'")
    expect(chosen).to_have_count(0)
    tcp.send("PUB wide/later/x 1")
    expect(chosen).to_have_attribute("data-key", "wide/later/x")
    expect(chosen).to_be_in_viewport()


def test_the_address_names_what_is_chosen(console, tcp):
    tcp.send("PUB named/it's 50% 1")
    view(console, "Topics")
    console.get_by_role("tree").get_by_role("treeitem", name="named").click()
    expect(console).to_have_url(re.compile(r"#topics\?topic=named$"))
    follow(console, "named/#")
    expect(console).to_have_url(re.compile(r"#live\?filter=named/%23$"))
    console.reload()
    expect(console.locator("#tail-note")).to_contain_text("Following named/#")


def test_more_rows_of_a_level(console, tcp):
    for n in range(150):
        tcp.send(f"PUB full/{n} {n}")
    tcp.ask("PING")
    console.evaluate("location.hash = 'topics?topic=full/0'")
    tree = console.get_by_role("tree")
    below = tree.locator("[data-key^='full/']")
    expect(below).to_have_count(100)
    more = tree.locator("""[data-key='#"full"']""")
    expect(more).to_have_text("More…")
    more.click()
    expect(below).to_have_count(150)
    expect(more).to_have_count(0)


def test_topics_that_begin_with_a_slash(console, tcp):
    tcp.send("PUB /slash/a 1")
    view(console, "Topics")
    tree = console.get_by_role("tree")
    tree.get_by_role("treeitem", name="(empty)").press("ArrowRight")
    expect(tree.locator("[data-key='/slash']")).to_be_visible()
    console.evaluate("location.hash = 'topics?topic=/slash/a'")
    expect(tree.locator("[data-key='/slash/a']")).to_have_attribute("aria-selected", "true")


def test_the_plot_of_one_moment_covers_a_minute(console):
    chart = """async () => new ((await import("/console/chart.js")).Chart)(document.createElement("div"))"""
    draw = """chart => (chart.add(1e9, new Map([["", 5]])), chart.draw())"""
    shown = console.evaluate_handle(chart)
    shown.evaluate(draw)
    assert shown.evaluate("chart => chart._plot.scales.x.max") - 1e9 == 30


def test_search(console, tcp):
    view(console, "Topics")
    tcp.send("PUB store/bay-7/door open")
    console.get_by_label("Search").fill("bay-7")
    expect(console.get_by_role("treeitem")).to_have_count(1)
    expect(console.get_by_role("treeitem")).to_contain_text("store/bay-7/door")
    expect(console.locator("#tree-note")).to_contain_text("1 found")
    console.get_by_label("Search").fill("")
    expect(console.get_by_role("treeitem", name="store")).to_be_visible()


def test_search_among_more_topics_than_one_answer_looks_at(console, tcp):
    for n in range(5_500):
        tcp.send(f"PUB many/{n} {n}")
    tcp.send("PUB many/needle found")
    tcp.ask("PING")
    view(console, "Topics")
    console.get_by_label("Search").fill("needle")
    expect(console.get_by_role("treeitem")).to_have_count(1)
    expect(console.get_by_role("treeitem")).to_contain_text("many/needle")
    expect(console.locator("#tree-note")).to_contain_text("1 found")
    console.get_by_label("Search").fill("")
