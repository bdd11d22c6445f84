/** The chosen topic: its last message in full, and a plot of its numbers. */

import {addressOf} from "./address.js";
import {Chart} from "./chart.js";
import {at, make, write} from "./dom.js";
import {numbers, payloadOf} from "./format.js";
import {messageElement} from "./message.js";

const DRAW_MS = 500;

/** Follows one topic. */
export class Detail {
  /**
   * @param {import("./hub.js").Hub} hub
   * @param {HTMLElement} element
   */
  constructor(hub, element) {
    this._hub = hub;
    this._element = element;
    this._stop = () => {};
    this._topic = null;
    this._message = null;
    this._isNew = false;
    setInterval(() => this._draw(), DRAW_MS);
  }

  /** @param {string} topic */
  async choose(topic) {
    if (topic === this._topic) return;
    this._topic = topic;
    this._stop();
    this._stop = () => {};
    this._message = null;
    this._chart?.end();
    const below = `${topic}/#`;
    const form = make(
      "select", {change: () => this._draw(true)},
      ...[["auto", "pretty"], ["text", "text"], ["json", "JSON"], ["hex", "hex"]].map(([value, text]) => make("option", {value}, text)),
    );
    const parts = {
      form, note: make("p", {class: "quiet", role: "status"}, "No message yet."), value: make("div"), chart: make("div"),
    };
    this._parts = parts;
    this._element.replaceChildren(
      make("h3", {}, topic || "(empty)"),
      make("div", {class: "bar"}, make("label", {}, "Form ", form),
        make("a", {href: addressOf("live", {filter: topic})}, "Follow"),
        make("a", {href: addressOf("live", {filter: below})}, "Follow all below"),
        make("a", {href: addressOf("history", {filter: topic})}, "History"),
        make("a", {href: addressOf("send", {topic})}, "Send")),
      parts.note, parts.value, parts.chart,
    );
    this._chart = new Chart(parts.chart);
    if (matchMedia("(max-width: 48rem)").matches) this._element.scrollIntoView();
    try {
      const stop = await this._hub.follow(topic, message => this._take(topic, message));
      if (this._topic === topic) this._stop = stop;
      else stop();
    } catch (refusal) {
      if (this._topic === topic) write(parts.note, `${refusal.message}.`);
    }
  }

  _take(topic, message) {
    if (topic !== this._topic) return;
    this._message = message;
    this._isNew = true;
    this._chart.add(message.time ?? Date.now() / 1000, numbers(payloadOf(message)));
  }

  _draw(again = false) {
    if (at("topics").hidden || this._message === null || !(this._isNew || again)) return;
    this._isNew = false;
    this._parts.note.hidden = true;
    this._parts.value.replaceChildren(messageElement(this._message, this._parts.form.value));
    this._chart.draw();
  }
}
