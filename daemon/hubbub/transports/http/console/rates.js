/** Rates of counters that the hub reports from time to time, and their last minute as a small line. */

import {draw} from "./dom.js";

const POINTS = 40;
const WIDTH = 80;
const HEIGHT = 18;

/** Remembers counters by key. */
export class Rates {
  constructor() {
    this._known = new Map();
    this._round = 0;
  }

  /** Begin a round of looks; what two rounds haven't seen is forgotten. */
  begin() {
    this._round += 1;
    for (const [key, one] of this._known) if (one.round < this._round - 2) this._known.delete(key);
  }

  /**
   * Take a counter. Returns its rate a second.
   * @param {string} key
   * @param {number} count
   * @param {number} seconds when that was
   */
  note(key, count, seconds) {
    const one = this._known.get(key);
    if (one === undefined || count < one.count) {
      this._known.set(key, {count, seconds, round: this._round, points: [], rate: 0});
      return 0;
    }
    one.round = this._round;
    if (seconds > one.seconds) {
      one.rate = (count - one.count) / (seconds - one.seconds);
      one.points.push(one.rate);
      if (one.points.length > POINTS) one.points.shift();
      one.count = count;
      one.seconds = seconds;
    }
    return one.rate;
  }

  /**
   * Return the last rates of a counter.
   * @param {string} key
   * @returns {number[]}
   */
  points(key) {
    return this._known.get(key)?.points ?? [];
  }
}

/** Make a small line; `plot` draws it. */
export function sparkline() {
  const path = draw("path", {d: ""});
  return draw("svg", {class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true"}, path);
}

/**
 * Draw rates into a small line.
 * @param {SVGElement} svg
 * @param {number[]} points
 */
export function plot(svg, points) {
  const most = Math.max(...points, 1e-9);
  const x = at => (WIDTH - ((points.length - 1 - at) * WIDTH) / (POINTS - 1)).toFixed(1);
  const y = value => (HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1);
  const d = points.length < 2 ? "" : "M" + points.map((value, at) => `${x(at)} ${y(value)}`).join("L");
  if (svg.firstChild.getAttribute("d") !== d) svg.firstChild.setAttribute("d", d);
}
