/** The console: which view is seen, how it stands with the connection, and when views look again. */

import {read} from "./address.js";
import {at, write} from "./dom.js";
import {Health} from "./health.js";
import {History} from "./history.js";
import {Hub} from "./hub.js";
import {Links} from "./links.js";
import {Live} from "./live.js";
import {Login} from "./login.js";
import {Overview} from "./overview.js";
import {Send} from "./send.js";
import {Topics} from "./topics.js";

const LOOK_MS = 1_000;
const STATES = {connecting: "connecting…", connected: "connected", lost: "not connected"};

const url = new URL(".", location.href);
url.protocol = url.protocol.replace("http", "ws");
const hub = new Hub(url.href);
const login = new Login(hub);
const views = {
  overview: new Overview(hub, login), topics: new Topics(hub), live: new Live(hub), history: new History(),
  send: new Send(hub), links: new Links(hub), health: new Health(hub),
};
let shown = "";

/** Show the view that the address names. */
function show() {
  const address = read();
  const next = address.view in views ? address.view : "overview";
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === `#${next}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (next !== shown) {
    for (const view of Object.keys(views)) at(view).hidden = view !== next;
    shown = next;
    scrollTo(0, 0);
    document.title = `hubbub: ${at(next).querySelector("h2").textContent}`;
  }
  views[next].open?.(address.shown);
  look();
}

let looking = false;

/** Let the view that is seen look at the hub again. */
async function look() {
  if (looking || document.hidden || hub.state !== "connected") return;
  looking = true;
  try {
    await views[shown].look?.();
  } catch (refusal) {
    if (refusal.code !== "lost") throw refusal;
  } finally {
    looking = false;
  }
}

function tell() {
  at("state").dataset.state = hub.state;
  write(at("state"), hub.reason ? `${STATES[hub.state]}: ${hub.reason}` : STATES[hub.state]);
  if (hub.state === "connected") look();
}

function sampled() {
  at("sampling").hidden = hub.gaps === 0;
  write(at("sampling"), `This page shows a sample: ${hub.gaps.toLocaleString("en")} messages came faster than it reads them.`);
}

at("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");

hub.addEventListener("state", tell);
hub.addEventListener("gap", sampled);
addEventListener("hashchange", show);
document.addEventListener("visibilitychange", look);
setInterval(look, LOOK_MS);
show();
hub.open();
