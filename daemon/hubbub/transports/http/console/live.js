/** A live tail of any filter. It keeps the last messages, and draws a few of them at a time. */

import {bookmark} from "./address.js";
import {at, write} from "./dom.js";
import {amount, payloadOf} from "./format.js";
import {messageRow} from "./message.js";

const DRAW_MS = 400;
const DRAWN = 20;  // messages drawn at once: more go by too fast to be read
const SHOWN = 200;  // messages in the list

/** The view. */
export class Live {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._filter = null;
    this._stop = () => {};
    this._paused = false;
    this._new = [];  // not drawn yet, the last DRAWN
    this._came = 0;  // since the last drawing
    this._sampled = 0;  // in all: came, and were never drawn
    this._rate = {since: performance.now(), came: 0, text: ""};
    at("follow").addEventListener("submit", event => {
      event.preventDefault();
      this.follow(String(new FormData(event.target).get("filter")));
    });
    at("pause").addEventListener("click", () => this._pause(!this._paused));
    at("form").addEventListener("change", () => {
      for (const row of at("tail").querySelectorAll("details[open]")) row.dispatchEvent(new Event("toggle"));
    });
    at("clear").addEventListener("click", () => {
      at("tail").replaceChildren();
      this._sampled = 0;
    });
    setInterval(() => this._draw(), DRAW_MS);
  }

  /** @param {URLSearchParams} asked may name a filter */
  open(asked) {
    const filter = asked.get("filter");
    if (filter === null || filter === this._filter) return;
    at("follow").elements.filter.value = filter;
    this.follow(filter);
  }

  /** @param {string} filter */
  async follow(filter) {
    this._stop();
    this._stop = () => {};
    this._filter = null;
    try {
      this._stop = await this._hub.follow(filter, message => this._take(message));
      this._filter = filter;
      bookmark("live", {filter});
      this._sampled = 0;
      this._pause(false);
      write(at("tail-note"), `Following ${filter}.`);
    } catch (refusal) {
      write(at("tail-note"), `${filter}: ${refusal.message}.`);
    }
  }

  _take(message) {
    this._rate.came += 1;
    if (this._paused) return;
    const only = at("only").value;
    if (only && !message.topic.includes(only) && !(payloadOf(message).text ?? "").includes(only)) return;
    this._came += 1;
    this._new.push(message);
    if (this._new.length > DRAWN) this._new.shift();
  }

  _pause(paused) {
    this._paused = paused;
    at("pause").setAttribute("aria-pressed", String(paused));
    write(at("pause"), paused ? "Go on" : "Pause");
  }

  _draw() {
    this._note();
    if (!this._new.length || at("live").hidden) return;
    this._sampled += this._came - this._new.length;
    const list = at("tail");
    list.prepend(...this._new.reverse().map(message => messageRow(message, () => at("form").value)));
    while (list.children.length > SHOWN) list.lastChild.remove();
    this._new = [];
    this._came = 0;
  }

  _note() {
    const now = performance.now();
    const seconds = (now - this._rate.since) / 1000;
    if (this._filter === null || seconds < 1) return;
    const skipped = this._hub.skipped;
    const rate = (this._rate.came + skipped - (this._rate.skipped ?? 0)) / seconds;
    this._rate = {since: now, came: 0, skipped};
    const parts = [`Following ${this._filter}: ${amount(rate)} messages/s`];
    if (this._paused) parts.push("paused");
    if (this._sampled + skipped) parts.push(`a sample: ${amount(this._sampled + skipped)} messages went by undrawn`);
    write(at("tail-note"), `${parts.join(", ")}.`);
  }
}
