/** The tree of topics, its search, and the topic that is chosen. */

import {bookmark} from "./address.js";
import {at, write} from "./dom.js";
import {Detail} from "./detail.js";
import {amount, duration} from "./format.js";
import {Rates} from "./rates.js";
import {Tree} from "./tree.js";

const PAGE = 100;  // rows of a level that are shown at first, and that More adds
const PAGE_MAX = 1_000;  // rows that the hub has in one answer
const REQUESTS = 10;  // for one look at a level: an answer may have few rows, of what a search or the rights of a user allow
const SOUGHT = 1_000;  // rows of a level among which the topic of the address is looked for
const FOUND = "#";  // in place of a level: what a search has found; no topic has it
const OPEN = 12;  // levels that are looked at again each time; the others in turn
const WAIT_MS = 200;  // of silence in the search box

/** The view. */
export class Topics {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._rates = new Rates();
    this._detail = new Detail(hub, at("detail"));
    this._tree = new Tree(at("tree"), this._rates, {
      choose: topic => this._choose(topic), more: above => this._more(above), changed: () => this.look(),
    });
    this._levels = new Map();  // rows and next, by the topic above; null: the first levels
    this._pages = new Map();  // how many pages of them are shown
    this._turn = 0;
    this._searched = "";
    at("search").addEventListener("input", () => {
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this.look(), WAIT_MS);
    });
  }

  /** @param {URLSearchParams} asked may name a topic */
  open(asked) {
    const topic = asked.get("topic");
    if (topic === null) return;
    at("search").value = "";
    this._pages.clear();
    this._tree.reveal(topic);
    this._detail.choose(topic);
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

  _choose(topic) {
    bookmark("topics", {topic});
    this._detail.choose(topic);
  }

  _more(above) {
    this._pages.set(above, (this._pages.get(above) ?? 1) + 1);
    this.look();
  }

  async _search(text) {
    if (text !== this._searched) this._pages.delete(FOUND);
    this._searched = text;
    const found = await this._page({search: text}, FOUND);
    if (at("search").value !== text) return;
    const rows = found.rows.map(row => ({row: {...row, children: 0, level: row.topic}, depth: 1}));
    this._tree.show(found.next === null ? rows : [...rows, {depth: 1, more: FOUND}]);
    this._note(found, `${amount(found.rows.length)}${found.next === null ? "" : " or more"} found`);
  }

  async _open() {
    const open = [null, ...this._tree.open];
    const again = open.length <= OPEN ? open : [null, ...this._some(open.slice(1))];
    const found = await Promise.all(again.map(above => this._page(above === null ? {} : {below: above}, above)));
    again.forEach((above, index) => this._levels.set(above, found[index]));
    for (const above of this._levels.keys()) if (!open.includes(above)) this._levels.delete(above);
    if (at("search").value) return;
    for (const [above, level] of this._levels) this._seek(above, level);
    this._tree.show([...this._rows(null, 1)]);
    this._note(found[0], "");
  }

  /** Show as many rows of a level as the topic takes that the tree looks for; give up where it has too many. */
  _seek(above, {rows, next}) {
    const sought = this._tree.sought;
    if (sought === null || !(above === null || sought.startsWith(`${above}/`))) return;
    const depth = above === null ? 1 : above.split("/").length + 1;
    const level = sought.split("/").slice(0, depth).join("/");
    const place = rows.findIndex(row => row.topic === level);
    if (place >= 0) this._pages.set(above, Math.ceil((place + 1) / PAGE));
    else if (next !== null && rows.length < SOUGHT) this._pages.set(above, Math.ceil(SOUGHT / PAGE));
    else if (next !== null) {
      this._pages.delete(above);
      this._tree.sought = null;
    }
  }

  _some(topics) {
    const fresh = topics.filter(topic => !this._levels.has(topic));
    this._turn = (this._turn + OPEN) % topics.length;
    const inTurn = [...topics.slice(this._turn), ...topics.slice(0, this._turn)];
    return [...new Set([...fresh, ...inTurn])].slice(0, OPEN);
  }

  *_rows(above, depth) {
    const level = this._levels.get(above);
    if (level === undefined) return;
    for (const row of level.rows) {
      yield {row, depth};
      if (this._tree.open.has(row.topic)) yield* this._rows(row.topic, depth + 1);
    }
    if (level.next !== null) yield {depth, more: above};
  }

  async _page(asked, above) {
    const most = PAGE * (this._pages.get(above) ?? 1);
    const rows = [];
    let last = {next: 0};
    for (let requests = 0; requests < REQUESTS && rows.length < most && last.next !== null; requests += 1) {
      const limit = Math.min(most - rows.length, PAGE_MAX);
      last = await this._hub.manage("topics", {...asked, after: last.next, limit});
      for (const row of last.topics) if (row.messages !== undefined) this._rates.note(row.topic, row.messages, last.now);
      rows.push(...last.topics);
    }
    return {rows, next: last.next, missed: last.missed, since: last.now - last.since};
  }

  _note({missed, since}, text) {
    const parts = [text, `counted for ${duration(since)}`];
    if (missed) parts.push(`a sample: the hub counts no more topics, and left out ${amount(missed)} messages`);
    write(at("tree-note"), parts.filter(Boolean).join("; "));
  }
}
