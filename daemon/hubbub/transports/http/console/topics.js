/** The tree of topics, its search, and the topic that is chosen. */

import {at, write} from "./dom.js";
import {Detail} from "./detail.js";
import {amount, duration} from "./format.js";
import {Rates} from "./rates.js";
import {Tree} from "./tree.js";

const PAGE = 100;
const OPEN = 12;  // levels that are looked at again each time; the others in turn
const WAIT_MS = 200;  // of silence in the search box

/** The view. */
export class Topics {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._rates = new Rates();
    this._detail = new Detail(hub, at("detail"));
    this._tree = new Tree(at("tree"), this._rates, topic => this._detail.choose(topic), () => this.look());
    this._levels = new Map();  // rows and next, by the topic above; "": the first levels
    this._pages = new Map();  // how many pages of it are shown
    this._turn = 0;
    this._searched = "";
    at("search").addEventListener("input", () => {
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this.look(), WAIT_MS);
    });
    at("tree-more").addEventListener("click", () => {
      this._pages.set(this._above(), (this._pages.get(this._above()) ?? 1) + 1);
      this.look();
    });
  }

  /** @param {URLSearchParams} asked may name a topic */
  open(asked) {
    if (asked.get("topic")) this._detail.choose(asked.get("topic"));
  }

  /** Look at the hub again. */
  async look() {
    const text = at("search").value;
    this._rates.begin();
    try {
      if (text) await this._search(text);
      else await this._open();
      at("tree-refusal").hidden = true;
    } catch (refusal) {
      if (refusal.code === "lost") throw refusal;
      at("tree-refusal").hidden = false;
      write(at("tree-refusal"), `${refusal.message}. Messages of a filter that you may subscribe to are at Live.`);
    }
  }

  _above() {
    return at("search").value ? `?${at("search").value}` : "";
  }

  async _search(text) {
    if (text !== this._searched) this._pages.delete(`?${text}`);
    this._searched = text;
    const found = await this._page({search: text}, `?${text}`);
    if (at("search").value !== text) return;
    this._tree.show(found.rows.map(row => ({row: {...row, children: 0, level: row.topic}, depth: 1})));
    this._note(found, `${amount(found.rows.length)}${found.next === null ? "" : " or more"} found`);
  }

  async _open() {
    const open = ["", ...this._tree.open.keys()];
    const again = open.length <= OPEN ? open : [...open.slice(0, 1), ...this._some(open.slice(1))];
    const found = await Promise.all(again.map(topic => this._page(topic ? {below: topic} : {}, topic)));
    again.forEach((topic, index) => this._levels.set(topic, found[index]));
    for (const topic of this._levels.keys()) if (!open.includes(topic)) this._levels.delete(topic);
    if (at("search").value) return;
    this._tree.show([...this._rows("", 1)]);
    this._note(found[0], "");
  }

  _some(topics) {
    const fresh = topics.filter(topic => !this._levels.has(topic));
    this._turn = (this._turn + OPEN) % topics.length;
    const inTurn = [...topics.slice(this._turn), ...topics.slice(0, this._turn)];
    return [...new Set([...fresh, ...inTurn])].slice(0, OPEN);
  }

  *_rows(above, depth) {
    for (const row of this._levels.get(above)?.rows ?? []) {
      yield {row, depth};
      if (this._tree.open.has(row.topic)) yield* this._rows(row.topic, depth + 1);
    }
  }

  async _page(asked, key) {
    const rows = [];
    let last = {next: 0};
    for (let page = 0; page < (this._pages.get(key) ?? 1) && last.next !== null; page += 1) {
      last = await this._hub.manage("topics", {...asked, after: last.next, limit: PAGE});
      for (const row of last.topics) if (row.messages !== undefined) this._rates.note(row.topic, row.messages, last.now);
      rows.push(...last.topics);
    }
    return {rows, next: last.next, missed: last.missed, since: last.now - last.since};
  }

  _note({next, missed, since}, text) {
    at("tree-more").hidden = next === null;
    const parts = [text, `counted for ${duration(since)}`];
    if (missed) parts.push(`a sample: the hub counts no more topics, and left out ${amount(missed)} messages`);
    write(at("tree-note"), parts.filter(Boolean).join("; "));
  }
}
