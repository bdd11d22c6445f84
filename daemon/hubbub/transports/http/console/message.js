/** One message in full: its payload in any form, and everything that came with it. */

import {make} from "./dom.js";
import {clock, duration, line, payloadOf, size, whole} from "./format.js";

/**
 * Make an element that shows a message.
 * @param {any} message of the dialect json
 * @param {"auto" | "text" | "json" | "hex"} form
 */
export function messageElement(message, form) {
  const payload = payloadOf(message);
  const facts = [
    ["time", clock(message.time)], ["size", size(payload.bytes.length)], ["retained", message.retained && "yes"],
    ["QoS", message.qos], ["content type", message.content_type], ["reply to", message.reply_to],
    ["correlation", message.correlation],
    ["expires in", message.message_expiry === undefined ? undefined : duration(message.message_expiry)],
    ...Object.entries(message.properties ?? {}).map(([name, value]) => [`property ${name}`, value]),
  ].filter(([, value]) => value !== undefined && value !== false && value !== "");
  return make(
    "div", {class: "message"},
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])),
    make("pre", {}, whole(payload, form)),
  );
}

/**
 * Make the row of a message; a click shows all of it.
 * @param {any} message of the dialect json
 * @param {() => "auto" | "text" | "json" | "hex"} form tells in which form
 */
export function messageRow(message, form) {
  const head = make(
    "summary", {}, make("time", {}, clock(message.time)), make("strong", {}, message.topic),
    ...tags(message).map(tag => make("span", {class: "tag"}, tag)),
    make("span", {class: "payload"}, line(payloadOf(message))),
  );
  const element = make("details", {class: "row", toggle: () => {
    element.querySelector(".message")?.remove();
    if (element.open) element.append(messageElement(message, form()));
  }}, head);
  return element;
}

function tags(message) {
  const found = [];
  if (message.retained) found.push("retained");
  if (message.qos) found.push(`QoS ${message.qos}`);
  return found;
}
