/** Messages of the past: what the hub's history has of a filter from some time on, a page at a time. */

import {at, write} from "./dom.js";
import {Refused} from "./hub.js";
import {messageRow} from "./message.js";

const PAGE = 100;  // messages
const HOUR_MS = 3_600_000;

/** The view. */
export class History {
  constructor() {
    this._asked = null;  // {filter, until}, of the list
    this._position = "";  // of its last message
    this._reading = new AbortController();
    const form = at("past");
    form.elements.from.value = local(new Date(Date.now() - HOUR_MS));
    form.addEventListener("submit", event => {
      event.preventDefault();
      this._begin(form.elements);
    });
    at("past-later").addEventListener("click", () => this._more({after: this._position}));
  }

  /** @param {URLSearchParams} asked may name a filter, and since when */
  open(asked) {
    const fields = at("past").elements;
    const filter = asked.get("filter");
    if (filter === null || filter === this._asked?.filter) return;
    fields.filter.value = filter;
    if (asked.get("from")) fields.from.value = local(new Date(asked.get("from")));
    this._begin(fields);
  }

  _begin({filter, from, to}) {
    this._asked = {filter: filter.value, until: to.value ? new Date(to.value).getTime() / 1000 : Infinity};
    at("past-rows").replaceChildren();
    const seconds = Math.max(0, (Date.now() - new Date(from.value).getTime()) / 1000);
    return this._more({since: seconds.toFixed(3)});
  }

  /** Read a page, and append it. */
  async _more(begin) {
    this._reading.abort();
    const reading = this._reading = new AbortController();
    at("past-later").hidden = true;
    write(at("past-note"), "Reading…");
    try {
      const {messages, lost, rest} = await page(this._asked, begin, reading);
      const list = at("past-rows");
      list.append(...messages.map(message => messageRow(message, () => "auto")));
      this._position = messages.at(-1)?.position ?? this._position;
      at("past-later").hidden = !rest;
      const count = `${list.children.length} messages of ${this._asked.filter}`;
      write(at("past-note"), `${count}${rest ? ", and there are more" : ""}.${lost ? " Older ones are kept no more." : ""}`);
    } catch (refusal) {
      if (reading.signal.aborted && reading !== this._reading) return;  // another page is read
      write(at("past-note"), `${this._asked.filter}: ${refusal.message}.`);
    }
  }
}

/** Return the next messages, whether older ones are lost, and whether there is a rest. Rejects with Refused. */
async function page({filter, until}, begin, reading) {
  const query = new URLSearchParams({filter, poll: "1", ...begin});
  const response = await fetch(`messages?${query}`, {signal: reading.signal});
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(problem.code ?? "", problem.detail ?? response.statusText);
  }
  const found = {messages: [], lost: false, rest: false};
  for await (const unit of units(response.body)) {
    if (unit.op === "lost") found.lost = true;
    if (unit.op !== "message") continue;
    found.rest = found.messages.length === PAGE && unit.time <= until;
    if (found.rest || unit.time > until) break;
    found.messages.push(unit);
  }
  reading.abort();  // the hub needn't send the rest
  return found;
}

async function* units(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

/** Write a time as an input of type datetime-local has it. */
function local(time) {
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
