/** The links of all clients, with a kick. */

import {at, make, reconcile, write} from "./dom.js";
import {amount, duration, size} from "./format.js";

const PAGE = 100;

/** The view. */
export class Links {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._pages = 1;
    at("links-more").addEventListener("click", () => {
      this._pages += 1;
      this.look();
    });
    at("links-filter").addEventListener("input", () => {
      this._pages = 1;
    });
    at("links-filter").addEventListener("submit", event => event.preventDefault());
  }

  /** Look at the hub again. */
  async look() {
    const fields = new FormData(at("links-filter"));
    const asked = Object.fromEntries([...fields].filter(([, value]) => value));
    try {
      const rows = [];
      let after = 0;
      for (let page = 0; page < this._pages && after !== null; page += 1) {
        const found = await this._hub.manage("links", {...asked, after, limit: PAGE});
        rows.push(...found.links);
        after = found.next;
      }
      at("links-refusal").hidden = true;
      at("links-more").hidden = after === null;
      reconcile(at("links-rows"), rows, row => String(row.link), row => this._make(row), fill);
    } catch (refusal) {
      if (refusal.code === "lost") throw refusal;
      at("links-refusal").hidden = false;
      write(at("links-refusal"), `${refusal.message}.`);
    }
  }

  _make(row) {
    const heads = Array.from(at("links-rows").parentElement.querySelectorAll("th")).slice(0, -1);
    return make(
      "tr", {role: "row"}, ...heads.map(head => make("td", {role: "cell", class: head.className, "data-label": head.textContent})),
      make("td", {role: "cell"}, make("button", {type: "button", "aria-label": `Kick link ${row.link}`, click: () => this._kick(row.link)}, "Kick")),
    );
  }

  async _kick(link) {
    try {
      const {kicked} = await this._hub.manage("kick", {link});
      write(at("links-note"), kicked ? `Link ${link} is closed.` : `Link ${link} has gone already.`);
      await this.look();
    } catch (refusal) {
      write(at("links-note"), `Link ${link}: ${refusal.message}.`);
    }
  }
}

function fill(element, row) {
  const texts = [
    row.link, row.port ? `${row.host}:${row.port}` : row.host, `${row.dialect} over ${row.transport}`, row.listener,
    [row.user, row.client].filter(Boolean).join(" · "), amount(row.subscriptions), size(row.waiting), amount(row.sent),
    amount(row.dropped), row.rtt === null ? "" : `${(row.rtt * 1000).toFixed(1)} ms`, duration(row.silent),
  ];
  texts.forEach((text, at) => write(element.children[at], String(text)));
  element.classList.toggle("bad", row.dropped > 0);
}
