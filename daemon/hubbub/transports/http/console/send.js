/** Publish and request. */

import {at, make} from "./dom.js";
import {clock, payloadOf, whole} from "./format.js";

const SHOWN = 20;

/** The view. */
export class Send {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    at("message").addEventListener("submit", event => {
      event.preventDefault();
      this._send(new FormData(event.target), event.submitter?.value ?? "publish");
    });
  }

  /** @param {URLSearchParams} asked may name a topic */
  open(asked) {
    if (asked.get("topic")) at("message").elements.topic.value = asked.get("topic");
  }

  async _send(fields, what) {
    const topic = String(fields.get("topic"));
    try {
      const message = read(fields);
      if (what === "request") {
        const reply = await this._hub.request({...message, timeout: Number(fields.get("timeout"))});
        this._show(topic, "reply", whole(payloadOf(reply), "auto"));
      } else {
        const more = {retain: fields.get("retain") !== null, qos: Number(fields.get("qos"))};
        const receivers = await this._hub.publish({...message, ...more});
        this._show(topic, "published", receivers === 1 ? "1 client receives it" : `${receivers} clients receive it`);
      }
    } catch (problem) {
      this._show(topic, "refused", problem.message, "bad");
    }
  }

  _show(topic, what, text, kind = "") {
    at("sent").prepend(make(
      "div", {class: `row ${kind}`}, make("time", {}, clock(Date.now() / 1000)), make("strong", {}, topic),
      make("span", {class: "tag"}, what), make("pre", {class: "payload"}, text),
    ));
    while (at("sent").children.length > SHOWN) at("sent").lastChild.remove();
  }
}

/** Make the message of the form. Throws where the payload isn't what it should be. */
function read(fields) {
  const message = {topic: String(fields.get("topic"))};
  const payload = String(fields.get("payload"));
  if (fields.get("kind") === "base64") message.base64 = payload.trim();
  else if (fields.get("kind") === "json") message.data = JSON.parse(payload);
  else message.data = payload;
  if (fields.get("type")) message.content_type = String(fields.get("type"));
  return message;
}
