/** A tree by the keyboard and for screen readers (WAI-ARIA, tree view). */

import {make, reconcile, write} from "./dom.js";
import {amount, line, payloadOf, rate} from "./format.js";
import {plot, sparkline} from "./rates.js";

const MORE = "#";  // begins the key of a row that stands for further ones; no topic has it

/**
 * @typedef {object} Row
 * @property {any} [row]  a topic, as `$hubbub/topics` has it
 * @property {number} depth  1: a first level
 * @property {string | null} [more]  in place of a topic: the one that has more levels below it; null: there are more first levels
 */

/** Shows rows; which levels are open, and which topic is chosen, is its own. */
export class Tree {
  /**
   * @param {HTMLElement} element
   * @param {import("./rates.js").Rates} rates
   * @param {{choose: (topic: string) => void, more: (above: string | null) => void, changed: () => void}} calls
   *   choose: with a topic that is chosen; more: where more rows are wanted (Row); changed: when levels open or close
   */
  constructor(element, rates, {choose, more, changed}) {
    this.open = new Set();
    this._element = element;
    this._rates = rates;
    this._choose = choose;
    this._more = more;
    this._changed = changed;
    this._chosen = null;
    this.sought = null;  // the topic that comes into view once it has a row
    element.addEventListener("keydown", event => this._key(event));
    element.addEventListener("click", event => {
      const item = event.target.closest("[role=treeitem]");
      if (!item) return;
      if (event.target.closest(".twig")) this._toggle(item);
      else this._select(item);
    });
  }

  /**
   * Open the levels above a topic, choose it, and let it come into view as soon as it has a row.
   * @param {string} topic
   */
  reveal(topic) {
    const levels = topic.split("/");
    for (let depth = 1; depth < levels.length; depth += 1) this.open.add(levels.slice(0, depth).join("/"));
    this._chosen = topic;
    this.sought = topic;
  }

  /** @param {Row[]} rows as they are seen, from the top */
  show(rows) {
    const focused = this._element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    reconcile(this._element, rows, keyOf, newItem, (item, one) => this._fill(item, one));
    const items = Array.from(this._element.children);
    const current = items.find(one => one.dataset.key === focused) ?? items.find(one => one.tabIndex === 0) ?? items[0];
    for (const item of items) item.tabIndex = item === current ? 0 : -1;
    if (!items.length) this._element.replaceChildren();
    this._element.dataset.empty = String(!items.length);
    this._seek(items);
  }

  _seek(items) {
    const found = this.sought === null ? undefined : items.find(one => one.dataset.key === this.sought);
    if (found === undefined) return;
    this.sought = null;
    found.scrollIntoView({block: "nearest"});
  }

  _fill(item, {row, depth, more}) {
    item.style.setProperty("--depth", String(depth - 1));
    item.classList.toggle("more", more !== undefined);
    if (more !== undefined) {
      item.setAttribute("aria-level", String(depth));
      write(item.children[1], "More…");
      return;
    }
    const has = row.children > 0;
    const states = {"aria-level": depth, "aria-selected": row.topic === this._chosen};
    if (has) states["aria-expanded"] = this.open.has(row.topic);
    else item.removeAttribute("aria-expanded");
    for (const [name, value] of Object.entries(states)) {
      if (item.getAttribute(name) !== String(value)) item.setAttribute(name, String(value));
    }
    const [twig, name, value, spark, speed, count] = item.children;
    write(twig, has ? (this.open.has(row.topic) ? "▾" : "▸") : "");
    write(name, row.level || "(empty)");
    const shown = row.data === undefined && row.base64 === undefined ? "" : line(payloadOf(row), 120);
    write(value, shown);
    plot(spark, this._rates.points(row.topic));
    write(speed, row.messages === undefined ? "" : rate(this._rates.points(row.topic).at(-1) ?? 0));
    write(count, row.messages === undefined ? "" : amount(row.messages));
  }

  _toggle(item, open = !this.open.has(item.dataset.key)) {
    if (!item.hasAttribute("aria-expanded")) return;
    if (open) this.open.add(item.dataset.key);
    else this.open.delete(item.dataset.key);
    this._changed();
  }

  _select(item) {
    if (item.classList.contains("more")) {
      this._focus(item.previousElementSibling);
      this._more(JSON.parse(item.dataset.key.slice(MORE.length)));
      return;
    }
    this._chosen = item.dataset.key;
    for (const one of this._element.children) one.setAttribute("aria-selected", String(one === item));
    this._focus(item);
    this._choose(this._chosen);
  }

  _focus(item) {
    for (const one of this._element.children) one.tabIndex = one === item ? 0 : -1;
    item.focus();
  }

  _key(event) {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    const open = this.open.has(item.dataset.key);
    const act = {
      ArrowDown: () => item.nextElementSibling && this._focus(item.nextElementSibling),
      ArrowUp: () => item.previousElementSibling && this._focus(item.previousElementSibling),
      ArrowRight: () => (open ? item.nextElementSibling && this._focus(item.nextElementSibling) : this._toggle(item, true)),
      ArrowLeft: () => (open ? this._toggle(item, false) : this._focus(above(item))),
      Home: () => this._focus(this._element.firstElementChild),
      End: () => this._focus(this._element.lastElementChild),
      Enter: () => this._select(item),
      " ": () => this._select(item),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function keyOf({row, more}) {
  return more === undefined ? row.topic : MORE + JSON.stringify(more);
}

function newItem() {
  return make(
    "div", {role: "treeitem", tabindex: -1}, make("span", {class: "twig", "aria-hidden": "true"}), make("strong"),
    make("span", {class: "payload"}), sparkline(), make("span", {class: "rate"}), make("span", {class: "count quiet"}),
  );
}

function above(item) {
  const depth = Number(item.getAttribute("aria-level"));
  let one = item;
  while (one.previousElementSibling && Number(one.getAttribute("aria-level")) >= depth) one = one.previousElementSibling;
  return one;
}
