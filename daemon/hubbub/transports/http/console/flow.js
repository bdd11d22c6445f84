/** A drawing: listeners and connectors on the left, topics on the right, and between them what flows. */

import {draw, make, reconcile, write} from "./dom.js";
import {many, rate} from "./format.js";

const TOPICS = 12;  // topics that are drawn, those with the most messages

/** The drawing. */
export class Flow {
  /** @param {HTMLElement} element */
  constructor(element) {
    this._element = element;
    this._lines = draw("svg", {"aria-hidden": "true"});
    this._places = make("ul", {class: "places", "aria-label": "Listeners and connectors"});
    this._hub = make("div", {class: "hub"}, make("strong", {}, "hub"), make("span"));
    this._topics = make("ul", {"aria-label": "Topics with the most messages"});
    element.append(this._lines, this._places, this._hub, this._topics);
    addEventListener("resize", () => this._connect());
  }

  /**
   * Show how it stands.
   * @param {any[]} places listeners and connectors, with their rates
   * @param {any[]} topics the first levels, with their rates
   * @param {number | null} published a second, in all
   */
  show(places, topics, published) {
    const most = topics.sort((one, other) => other.rate - one.rate || other.messages - one.messages).slice(0, TOPICS);
    const shown = most.sort((one, other) => (one.topic < other.topic ? -1 : 1));
    reconcile(this._places, places, one => one.id, newBox, fillPlace);
    reconcile(this._topics, shown, one => one.topic, newBox, fillTopic);
    write(this._hub.lastChild, published === null ? "" : rate(published));
    if (!shown.length && !this._topics.children.length) this._topics.append(make("li", {class: "quiet", "data-key": ""}, "No topic has a message yet."));
    this._connect();
  }

  _connect() {
    const frame = this._element.getBoundingClientRect();
    const hub = middle(this._hub, frame);
    const ends = [
      ...Array.from(this._places.children, box => ({box, from: middle(box, frame), to: hub, side: "left"})),
      ...Array.from(this._topics.children, box => ({box, from: hub, to: middle(box, frame), side: "right"})),
    ];
    this._lines.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    reconcile(
      this._lines, ends.filter(one => one.box.dataset.key), one => one.side + one.box.dataset.key,
      () => draw("path"),
      (path, {box, from, to}) => {
        const half = (from.right + to.left) / 2;
        path.setAttribute("d", `M${from.right} ${from.y}C${half} ${from.y} ${half} ${to.y} ${to.left} ${to.y}`);
        path.setAttribute("class", speed(Number(box.dataset.rate)));
      },
    );
  }
}

function middle(box, frame) {
  const {left, right, top, height} = box.getBoundingClientRect();
  return {left: left - frame.left, right: right - frame.left, y: top - frame.top + height / 2};
}

function speed(rate) {
  if (!rate) return "still";
  if (rate < 5) return "slow";
  return rate < 200 ? "quick" : "fast";
}

function newBox() {
  return make("li", {class: "box"}, make("strong"), make("span", {class: "quiet"}), make("span", {class: "rate"}));
}

function fillPlace(box, one) {
  box.dataset.rate = one.rate;
  write(box.children[0], one.id);
  const state = one.state ? ` · ${one.state}` : "";
  write(box.children[1], `${one.transport}${one.tls ? " over TLS" : ""} ${one.where} · ${one.dialect} · ${many(one.links, "link")}${state}`);
  write(box.children[2], rate(one.rate));
}

function fillTopic(box, one) {
  box.dataset.rate = one.rate;
  write(box.children[0], one.topic || "(empty level)");
  write(box.children[1], one.data ?? (one.children ? `${many(one.children, "level")} below` : ""));
  write(box.children[2], rate(one.rate));
}
