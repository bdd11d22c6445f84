/** Logging in: a session whose cookie the browser keeps, and no script can read. */

import {at, write} from "./dom.js";

const USER = "user";  // in the storage of this tab: its name alone

/** The dialog, and the buttons that open it. */
export class Login {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._asked = false;
    at("login-button").addEventListener("click", () => this.ask(""));
    at("login-cancel").addEventListener("click", () => at("login").close());
    at("login-form").addEventListener("submit", event => {
      event.preventDefault();
      this._send(new FormData(event.target));
    });
    at("logout-button").addEventListener("click", async () => {
      sessionStorage.removeItem(USER);
      await fetch("session", {method: "DELETE"});
      location.reload();
    });
  }

  /** The name of the user who has logged in here, or null: no user, or one with a token. */
  get user() {
    return sessionStorage.getItem(USER);
  }

  /** Something was refused that a login may allow: ask for one, once by itself. */
  need(reason) {
    at("login-button").hidden = false;
    if (!this._asked && /login/.test(reason) && !at("login").open) this.ask(reason);
  }

  /** @param {string} reason */
  ask(reason) {
    this._asked = true;
    write(at("login-reason"), reason);
    at("login").showModal();
  }

  async _send(fields) {
    const [user, password, token] = ["user", "password", "token"].map(name => String(fields.get(name) ?? ""));
    const pair = btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)));
    const answer = await fetch("session", {
      method: "POST", headers: {Authorization: token ? `Bearer ${token}` : `Basic ${pair}`},
    });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({detail: `the hub answers ${answer.status}`}));
      write(at("login-error"), problem.detail);
      return;
    }
    if (token) sessionStorage.removeItem(USER);
    else sessionStorage.setItem(USER, user);
    write(at("login-error"), "");
    at("login-form").reset();
    at("login").close();
    at("login-button").hidden = true;
    at("logout-button").hidden = false;
    this._hub.open();
  }
}
