// Small things that the other modules share.

export const $ = (id) => document.getElementById(id);

// el makes an element. A string of classes, and children that may be strings.
export function el(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// table makes a table of rows of cells, the first of each row a heading.
export function table(caption, headings, rows) {
  const t = el("table", "facts", el("caption", "", caption));
  if (headings) t.append(el("thead", "", el("tr", "", ...headings.map((h) => scoped("col", h)))));
  t.append(el("tbody", "", ...rows.map(([first, ...rest]) =>
    el("tr", "", scoped("row", first), ...rest.map((cell) => el("td", "", cell))))));
  return el("div", "scrolls", t);
}

function scoped(scope, text) {
  const th = el("th", "", text);
  th.scope = scope;
  return th;
}

// bytes reads the hexadecimal digits of an event.
export const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export const toHex = (byte) => byte.toString(16).padStart(2, "0");
export const toBits = (byte) => byte.toString(2).padStart(8, "0");
export const ascii = (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·");
export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

const OPCODES = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };
export const opcodeName = (opcode) => OPCODES[opcode] ?? "reserved";

const MEANINGS = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no code was sent",
  1006: "the connection was lost without a close frame",
  1007: "data that does not match its type",
  1008: "policy violation",
  1009: "message too big",
  1010: "an extension is missing",
  1011: "internal error",
  1012: "the service restarts",
  1013: "try again later",
  1014: "bad gateway",
  1015: "the TLS handshake failed",
};

// meaning is a close code's name (section 7.4).
export function meaning(code) {
  if (code in MEANINGS) return MEANINGS[code];
  if (code >= 4000) return "for private use";
  if (code >= 3000) return "registered by a library or application";
  return "reserved";
}

// closeOf reads a close frame's payload (section 5.5.1).
export function closeOf(payload) {
  if (payload.length < 2) return { code: 1005, reason: "" };
  return { code: payload[0] << 8 | payload[1], reason: new TextDecoder().decode(payload.subarray(2)) };
}

// route names the sender and the receiver. The inspector is the server of the client
// side, and the client of the target side.
export function route({ side, frame }, target) {
  const near = target ? "inspector" : "server";
  const [one, other] = side === "target" ? ["target", near] : ["client", near];
  return frame.sent ? `${other} → ${one}` : `${one} → ${other}`;
}

// fromClient tells the two directions apart, on either side: only clients mask.
export const fromClient = ({ side, frame }) => (side === "client") !== frame.sent;

export const clock = (time) => new Date(time).toLocaleTimeString("en-GB",
  { fractionalSecondDigits: 3, hour: "2-digit", minute: "2-digit", second: "2-digit" });
