/** Messages, their payloads, and what can go wrong. */

/** What a client raises; `code` is that of the hub (bad-topic, not-authorized, no-responders, ...), or lost, busy, closed. */
export class HubError extends Error {
  constructor(code, reason) {
    super(reason ? `${code}: ${reason}` : code);
    this.name = "HubError";
    this.code = code;
    this.reason = reason;
  }
}

/** A message, or the reply to a request. */
export class Message {
  #unit;

  constructor(unit, missed = 0) {
    this.#unit = unit;
    this.topic = unit.topic ?? "";
    this.time = unit.time === undefined ? null : new Date(unit.time * 1000);
    this.retained = unit.retained === true;
    this.qos = unit.qos ?? 0;
    this.contentType = unit.content_type ?? null;
    this.properties = unit.properties ?? {};
    this.replyTo = unit.reply_to ?? null;
    this.correlation = unit.correlation ?? null;
    this.missed = missed;
  }

  /** The payload as text. */
  get text() {
    const { data, base64 } = this.#unit;
    if (base64 !== undefined) return new TextDecoder().decode(this.bytes);
    return typeof data === "string" ? data : JSON.stringify(data);
  }

  /** The payload as a Uint8Array. */
  get bytes() {
    const { base64 } = this.#unit;
    if (base64 === undefined) return new TextEncoder().encode(this.text);
    return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
  }

  /** Return the payload read as JSON. */
  json() {
    const { data } = this.#unit;
    return data === undefined || typeof data === "string" ? JSON.parse(this.text) : data;
  }
}

/** Return the members of a command that carry a payload: strings and bytes as they are, all else as JSON. */
export function written(payload) {
  if (payload instanceof ArrayBuffer) payload = new Uint8Array(payload);
  if (ArrayBuffer.isView(payload)) {
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    return { base64: btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join("")) };
  }
  return { data: payload === undefined ? "" : payload };
}
