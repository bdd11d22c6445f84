/** A plot of numbers over time, by uPlot. */

import {clock, moment} from "./format.js";
import uPlot from "./vendor/uplot.js";

const POINTS = 1_000;  // of each line; older ones are dropped
const LINES = 8;
const HEIGHT = 220;
const AROUND = 30;  // seconds before and after a moment that is the only one
const COLOURS = ["#2f7fd8", "#d9632c", "#2b9f6b", "#b0489c", "#a8871a", "#5b6ee1", "#c2385a", "#3a9aa8"];

/** One plot: a line for each path in a payload. */
export class Chart {
  /** @param {HTMLElement} element */
  constructor(element) {
    this._element = element;
    this._times = [];
    this._lines = new Map();  // values, by path
    this._plot = null;
    this._drawn = 0;  // lines that the plot has
    this._watch = new ResizeObserver(() => this._plot?.setSize(this._size()));
    this._watch.observe(element);
  }

  /**
   * Add a moment.
   * @param {number} seconds Unix time
   * @param {Map<string, number>} values
   */
  add(seconds, values) {
    if (!values.size) return;
    for (const path of values.keys()) {
      if (!this._lines.has(path) && this._lines.size < LINES) this._lines.set(path, this._times.map(() => null));
    }
    const last = this._times.at(-1) ?? -Infinity;
    this._times.push(Math.max(seconds, last + 1e-6));
    for (const [path, line] of this._lines) line.push(values.get(path) ?? null);
    if (this._times.length > POINTS) {
      this._times.shift();
      for (const line of this._lines.values()) line.shift();
    }
  }

  /** Draw what has come. */
  draw() {
    if (!this._times.length) return;
    const data = [this._times, ...this._lines.values()];
    if (this._drawn !== this._lines.size) {
      this._plot?.destroy();
      this._plot = new uPlot(this._options(), data, this._element);
      this._drawn = this._lines.size;
    } else this._plot.setData(data);
    if (this._plot.cursor.idx == null) this._plot.setLegend({idx: this._times.length - 1});
  }

  /** Draw nothing any more. */
  end() {
    this._watch.disconnect();
    this._plot?.destroy();
    this._plot = null;
  }

  _size() {
    return {width: Math.max(200, this._element.clientWidth), height: HEIGHT};
  }

  _options() {
    const ink = () => getComputedStyle(this._element).color;
    const grid = {stroke: () => getComputedStyle(this._element).getPropertyValue("--line-solid") || "#8884", width: 1};
    const axis = {stroke: ink, grid, ticks: grid};
    const lines = Array.from(this._lines.keys(), (path, at) => ({
      label: path || "value", stroke: COLOURS[at], width: 2,
      points: {show: this._times.length < 60, size: 4, fill: COLOURS[at]},
    }));
    const range = (_, first, last) => this._times.length > 1 ? [first, last] : [first - AROUND, first + AROUND];
    const scales = {x: {range}};  // uPlot would show a thousand days after a moment that is the only one
    const time = {label: "time", value: (_, seconds) => seconds === null ? "" : clock(seconds)};
    const times = {...axis, values: (_, marks) => marks.map(mark => moment(mark, marks.at(-1) - marks[0]))};
    return {...this._size(), series: [time, ...lines], axes: [times, axis], scales, cursor: {y: false}};
  }
}
