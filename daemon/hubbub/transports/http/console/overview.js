/** What is open, what is published, and the messages that flow between. */

import {at, make, reconcile, write} from "./dom.js";
import {FirstMessage} from "./first.js";
import {Flow} from "./flow.js";
import {amount, duration, rate} from "./format.js";
import {Rates} from "./rates.js";

/** The first view. */
export class Overview {
  /**
   * @param {import("./hub.js").Hub} hub
   * @param {import("./login.js").Login} login
   */
  constructor(hub, login) {
    this._hub = hub;
    this._login = login;
    this._rates = new Rates();
    this._flow = new Flow(at("flow"));
    this._first = new FirstMessage(hub);
  }

  /** Look at the hub again. */
  async look() {
    this._rates.begin();
    const [status, listeners, connectors, topics] = await Promise.all([
      this._ask("status"), this._ask("listeners"), this._ask("connectors"), this._ask("topics", {limit: 100}),
    ]);
    this._first.show(listeners?.listeners ?? [], this._login.user);
    if (status !== null) this._metrics(status);
    const places = [...(listeners?.listeners ?? []), ...(connectors?.connectors ?? [])];
    const now = topics?.now ?? Date.now() / 1000;
    this._flow.show(
      places.map(one => ({...one, rate: this._rates.note(`place ${one.id}`, one.received, now)})),
      (topics?.topics ?? [])
        .filter(one => one.messages !== undefined)
        .map(one => ({...one, rate: this._rates.note(`topic ${one.topic}`, one.messages, now)})),
      status === null ? null : this._rates.note("published", status.counters.published, status.uptime),
    );
  }

  async _ask(name, asked = {}) {
    try {
      const found = await this._hub.manage(name, asked);
      if (name === "status") at("overview-refusal").hidden = true;
      return found;
    } catch (refusal) {
      if (refusal.code === "lost") throw refusal;
      this._login.need(refusal.message);
      if (name === "status") {
        at("overview-refusal").hidden = false;
        write(at("overview-refusal"), `Listeners and metrics: ${refusal.message}.`);
      }
      return null;
    }
  }

  _metrics(status) {
    const {counters, topics} = status;
    const metrics = [
      ["messages in", rate(this._rates.note("published", counters.published, status.uptime))],
      ["messages out", rate(this._rates.note("delivered", counters.delivered, status.uptime))],
      ["dropped", amount(counters.dropped)], ["links", amount(status.links)],
      ["subscriptions", amount(topics.subscriptions)], ["retained", amount(topics.retained)],
      ["version", status.version], ["up for", duration(status.uptime)],
    ];
    reconcile(
      at("metrics"), metrics, ([name]) => name,
      ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
      (element, [, value]) => write(element.lastChild, value),
    );
  }
}
