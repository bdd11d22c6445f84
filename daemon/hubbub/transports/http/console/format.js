/** Payloads, numbers and times as people read them. */

const decoder = new TextDecoder("utf-8", {fatal: true});
const HEX_BYTES = 4096;  // bytes of a payload that are shown as hex
const UNITS = ["B", "KiB", "MiB", "GiB"];

/**
 * @typedef {object} Payload
 * @property {string | null} text  null: it isn't UTF-8
 * @property {Uint8Array} bytes
 */

/**
 * Read the payload of a message or a reply of the dialect json.
 * @param {{data?: any, base64?: string}} message
 * @returns {Payload}
 */
export function payloadOf(message) {
  if (message.base64 !== undefined) return fromBytes(Uint8Array.from(atob(message.base64), one => one.charCodeAt(0)));
  const text = typeof message.data === "string" ? message.data : JSON.stringify(message.data ?? "");
  return {text, get bytes() { return new TextEncoder().encode(text); }};
}

function fromBytes(bytes) {
  try {
    return {text: decoder.decode(bytes), bytes};
  } catch {
    return {text: null, bytes};
  }
}

/**
 * Write a payload in one line.
 * @param {Payload} payload
 * @param {number} [most] characters
 */
export function line(payload, most = 300) {
  if (payload.text !== null) return payload.text.slice(0, most);
  return hexDigits(payload.bytes.subarray(0, most / 3)) + (payload.bytes.length > most / 3 ? "…" : "");
}

/**
 * Write a payload in full.
 * @param {Payload} payload
 * @param {"auto" | "text" | "json" | "hex"} form
 */
export function whole(payload, form) {
  if (form === "hex" || payload.text === null) return hexDump(payload.bytes);
  if (form === "text") return payload.text;
  return pretty(payload.text) ?? (form === "json" ? `${payload.text}\n\n(this isn't JSON)` : payload.text);
}

/**
 * Indent JSON; null: it is none, or a bare string.
 * @param {string} text
 */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return null;
  }
}

function hexDigits(bytes) {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" ");
}

function hexDump(bytes) {
  const lines = [];
  for (let from = 0; from < Math.min(bytes.length, HEX_BYTES); from += 16) {
    const part = bytes.subarray(from, from + 16);
    const signs = Array.from(part, byte => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${from.toString(16).padStart(6, "0")}  ${hexDigits(part).padEnd(47)}  ${signs}`);
  }
  if (bytes.length > HEX_BYTES) lines.push(`… ${bytes.length - HEX_BYTES} more bytes`);
  return lines.join("\n");
}

/**
 * Find the numbers of a payload: itself, or those in the fields of a JSON object, by their paths.
 * @param {Payload} payload
 * @returns {Map<string, number>}
 */
export function numbers(payload) {
  const found = new Map();
  const text = payload.text;
  if (text === null || text.length > 10_000) return found;
  const plain = text.match(/^\s*([A-Za-z_]+\s*[=:]\s*)?([-+]?\d+(\.\d+)?([eE][-+]?\d+)?)\s*\S{0,5}\s*$/);
  if (plain) return found.set("", Number(plain[2]));
  if (!/^\s*[[{]/.test(text)) return found;
  try {
    gather(JSON.parse(text), "", found);
  } catch {
    found.clear();
  }
  return found;
}

function gather(value, path, found) {
  if (found.size >= 8) return;
  if (typeof value === "number") found.set(path, value);
  else if (value !== null && typeof value === "object") {
    for (const [name, one] of Object.entries(value)) gather(one, path ? `${path}.${name}` : name, found);
  }
}

/** @param {number} bytes */
export function size(bytes) {
  let at = 0;
  while (bytes >= 1024 && at < UNITS.length - 1) {
    bytes /= 1024;
    at += 1;
  }
  return `${at && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[at]}`;
}

/** @param {number} count */
export function amount(count) {
  return Math.round(count).toLocaleString("en");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${amount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number} rate a second */
export function rate(rate) {
  if (rate === 0) return "0/s";
  return rate < 10 ? `${rate.toFixed(1)}/s` : `${amount(rate)}/s`;
}

/** @param {number | undefined} seconds Unix time */
export function clock(seconds) {
  if (seconds === undefined) return "";
  const moment = new Date(seconds * 1000);
  const time = moment.toTimeString().slice(0, 8) + "." + String(moment.getMilliseconds()).padStart(3, "0");
  return moment.toDateString() === new Date().toDateString() ? time : `${day(moment)} ${time}`;
}

/**
 * Write a time as short as its neighbours allow.
 * @param {number} seconds Unix time
 * @param {number} span seconds that are shown
 */
export function moment(seconds, span) {
  const time = new Date(seconds * 1000);
  return span < 86_400 ? time.toTimeString().slice(0, span < 3_600 ? 8 : 5) : day(time);
}

function day(time) {
  const parts = [time.getFullYear(), time.getMonth() + 1, time.getDate()];
  return parts.map(part => String(part).padStart(2, "0")).join("-");
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
