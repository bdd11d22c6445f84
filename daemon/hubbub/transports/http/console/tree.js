/** A tree by the keyboard and for screen readers (WAI-ARIA, tree view). */

import {make, reconcile, write} from "./dom.js";
import {amount, line, payloadOf, rate} from "./format.js";
import {plot, sparkline} from "./rates.js";

/** Shows rows; which levels are open is its own. */
export class Tree {
  /**
   * @param {HTMLElement} element
   * @param {import("./rates.js").Rates} rates
   * @param {(topic: string) => void} choose is called with a topic that is chosen
   * @param {() => void} changed is called when levels open or close
   */
  constructor(element, rates, choose, changed) {
    this.open = new Map();
    this._element = element;
    this._rates = rates;
    this._choose = choose;
    this._changed = changed;
    this._chosen = null;
    element.addEventListener("keydown", event => this._key(event));
    element.addEventListener("click", event => {
      const item = event.target.closest("[role=treeitem]");
      if (!item) return;
      if (event.target.closest(".twig")) this._toggle(item);
      else this._select(item);
    });
  }

  /** @param {{row: any, depth: number}[]} rows as they are seen, from the top */
  show(rows) {
    const focused = this._element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    reconcile(this._element, rows, ({row}) => row.topic, () => newItem(), (item, one) => this._fill(item, one));
    const items = Array.from(this._element.children);
    const current = items.find(one => one.dataset.key === focused) ?? items.find(one => one.tabIndex === 0) ?? items[0];
    for (const item of items) item.tabIndex = item === current ? 0 : -1;
    if (!items.length) this._element.replaceChildren();
    this._element.dataset.empty = String(!items.length);
  }

  _fill(item, {row, depth}) {
    const has = row.children > 0;
    const states = {"aria-level": depth, "aria-selected": row.topic === this._chosen};
    if (has) states["aria-expanded"] = this.open.has(row.topic);
    else item.removeAttribute("aria-expanded");
    for (const [name, value] of Object.entries(states)) {
      if (item.getAttribute(name) !== String(value)) item.setAttribute(name, String(value));
    }
    item.style.setProperty("--depth", String(depth - 1));
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
    if (open) this.open.set(item.dataset.key, true);
    else this.open.delete(item.dataset.key);
    this._changed();
  }

  _select(item) {
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
