/** Handlers, plugins and bridges, with their errors. */

import {at, make, reconcile, write} from "./dom.js";
import {amount, many} from "./format.js";

/** The view. */
export class Health {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
  }

  /** Look at the hub again. */
  async look() {
    try {
      const [plugins, connectors, listeners] = await Promise.all(
        ["plugins", "connectors", "listeners"].map(name => this._hub.manage(name)),
      );
      at("health-refusal").hidden = true;
      cards(at("connectors"), connectors.connectors.map(connector), "There are none; docs/devices.md has --connect.");
      cards(at("handlers"), plugins.handlers.map(handler), "There are none; docs/handlers.md has --handler.");
      cards(at("plugins"), [...plugins.broken.map(broken), inUse(plugins.plugins)], "");
      const troubles = [...listeners.listeners, ...connectors.connectors].flatMap(trouble);
      cards(at("troubles"), troubles, "Nothing was refused, and no link was cut.");
    } catch (refusal) {
      if (refusal.code === "lost") throw refusal;
      at("health-refusal").hidden = false;
      write(at("health-refusal"), `${refusal.message}.`);
    }
  }
}

const connector = one => ({
  key: one.id, name: one.id, bad: !one.state.startsWith("connected"), text: `${one.transport} ${one.where}: ${one.state}`,
});
const handler = one => ({
  key: one.id, name: one.id, bad: one.failed + one.dropped > 0,
  text: `${one.name}: ${many(one.failed, "failure")}, ${many(one.dropped, "message")} dropped. ${one.error}`,
});
const broken = one => ({key: one.error, name: one.plugins.join(", "), bad: true, text: one.error});
const inUse = names => ({key: "in use", name: "in use", bad: false, text: names.join(", ") || "none"});

function trouble(place) {
  const counts = kind => Object.entries(place[kind]).map(([why, count]) => `${amount(count)} ${why}`).join(", ");
  const parts = ["refused", "cut"].filter(kind => counts(kind)).map(kind => `${kind}: ${counts(kind)}`);
  return parts.length ? [{key: place.id, name: place.id, bad: false, text: parts.join("; ")}] : [];
}

function cards(list, rows, none) {
  const shown = rows.length ? rows : [{key: "none", name: "", bad: false, text: none}];
  reconcile(
    list, shown, row => row.key, () => make("li", {class: "card"}, make("strong"), make("span")),
    (element, row) => {
      element.classList.toggle("bad", row.bad);
      write(element.firstChild, row.name);
      write(element.lastChild, row.text);
    },
  );
}
