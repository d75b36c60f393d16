// The details of an event: an opening handshake, a frame, an end.

import { $, ascii, clock, closeOf, count, el, fromClient, meaning, bytes, opcodeName, route, table, toBits, toHex } from "./dom.js";
import { header } from "./header.js";

export function detail(event, target) {
  switch (event.kind) {
    case "frame": return frameDetail(event, target);
    case "handshake": return handshakeDetail(event);
    default: return [title("End of the connection", event), el("p", "", event.text)];
  }
}

function title(text, event) {
  const side = event.side === "target" ? ", target side" : "";
  return el("header", "", el("h3", "", text), el("span", "quiet", `${clock(event.time)}, connection ${event.conn}${side}`));
}

function frameDetail(event, target) {
  const { frame } = event;
  const parts = [title(`${name(frame)} frame, ${route(event, target)}`, event), ...says(frame), header(frame)];
  if (frame.length > 0) parts.push(payload(frame, fromClient(event)));
  return parts;
}

function name(frame) {
  const text = opcodeName(frame.opcode);
  return text[0].toUpperCase() + text.slice(1);
}

// says shows what the frame means: its text, its close code, its message.
function says(frame) {
  const own = bytes(frame.payload);
  const parts = [];
  if (frame.opcode === 8) {
    const { code, reason } = closeOf(own);
    parts.push(el("p", "", "Close code ", el("strong", "", `${code}, ${meaning(code)}`),
      own.length < 2 ? ": the payload is empty" : reason ? ", reason: " : ", no reason", el("q", reason ? "text" : "none", reason)));
  } else if (frame.length > 0 && !frame.compressed && frame.type !== 2) {
    parts.push(text(frame.opcode > 8 ? "Application data" : "Text", own, frame.length));
  }
  if (frame.missing) parts.push(el("p", "bad", `Cut short: ${count(frame.missing, "byte")} of the payload never came.`));
  const fin = bytes(frame.header)[0] & 0x80;
  if (frame.message && (frame.part > 1 || !fin)) {
    parts.push(el("p", "", `Frame ${frame.part} of ${opcodeName(frame.type)} message ${frame.message} in this direction`
      + (fin ? ", the last: the message is complete." : ": FIN is 0, so more will follow (§5.4).")));
  }
  if (frame.compressed && !frame.whole) parts.push(el("p", "", "Compressed: it is shown decompressed with the message’s last frame."));
  if (frame.whole) parts.push(...whole(frame));
  return parts;
}

// whole shows a message that is more than its last frame: put together, and inflated.
function whole({ whole, type, compressed }) {
  const all = bytes(whole.bytes);
  const parts = [];
  if (whole.error) return [el("p", "bad", `The compressed message of ${count(whole.packed, "byte")} is not shown inflated: ${whole.error}`)];
  if (compressed) {
    const share = whole.length ? `: ${Math.round(100 * whole.packed / whole.length)} % of the size` : "";
    parts.push(el("p", "", "Compression: ", el("strong", "", `${count(whole.packed, "byte")} on the wire inflate to ${count(whole.length, "byte")}`), share));
  } else {
    parts.push(el("p", "", `The whole message: ${count(whole.length, "byte")}.`));
  }
  parts.push(type === 1 ? text(compressed ? "Text after inflating" : "Text of the message", all, whole.length)
    : dump(compressed ? "Payload after inflating" : "The message", all, whole.length));
  return parts;
}

function text(label, shown, length) {
  // A frame, or the part that is shown, may end within a character: that is no error.
  const s = new TextDecoder().decode(shown, { stream: true });
  return el("p", "says", el("span", "quiet", `${label}: `), el("q", "text", s), cutNote(shown, length));
}

const cutNote = (shown, length) => shown.length < length ? el("span", "quiet", ` … the first ${shown.length} of ${count(length, "byte")}`) : "";

function payload(frame, client) {
  const wire = bytes(frame.wire);
  const plain = bytes(frame.payload);
  const note = frame.compressed ? " (compressed)" : "";
  const section = el("section", "part", el("h4", "", `Payload: ${count(frame.length, "byte")}${note}`));
  if (!frame.masked) {
    section.append(dump(`On the wire, not masked${client ? "" : ", for it is a server’s"}`, wire, frame.length));
    return section;
  }
  section.append(
    el("div", "pair", dump("On the wire, masked, as in a packet capture", wire, frame.length), dump("Unmasked", plain, frame.length)),
    unmasking(wire, bytes(frame.key)));
  return section;
}

// dump shows bytes as hex and ASCII, eight in a row.
function dump(caption, shown, length) {
  const rows = [];
  for (let i = 0; i < shown.length; i += 8) {
    const row = shown.subarray(i, i + 8);
    rows.push(`${i.toString(16).padStart(4, "0")}  ${Array.from(row, toHex).join(" ").padEnd(23)}  ${Array.from(row, ascii).join("")}`);
  }
  const pre = el("pre", "", rows.join("\n"));
  pre.tabIndex = 0; // it may scroll
  pre.ariaLabel = caption;
  pre.role = "group";
  return el("figure", "", el("figcaption", "", caption, cutNote(shown, length)), pre);
}

// unmasking does one byte of section 5.3: transformed[i] = original[i] XOR key[i mod 4].
function unmasking(wire, key) {
  const input = el("input");
  Object.assign(input, { type: "number", id: "byte", min: 0, max: wire.length - 1, value: 0 });
  const label = el("label", "inline", "Unmask byte ", input);
  label.htmlFor = "byte";
  const steps = el("div");
  steps.id = "unmasking";
  const show = () => {
    const i = Math.min(Math.max(Math.trunc(Number(input.value)) || 0, 0), wire.length - 1);
    const k = key[i % 4];
    const line = (name, byte) => [name, el("code", "", toHex(byte)), el("code", "", toBits(byte)), el("code", "", ascii(byte))];
    steps.replaceChildren(table(`byte ${i} XOR key[${i} mod 4]`, ["", "hex", "bits", "ASCII"],
      [line(`wire[${i}]`, wire[i]), line(`key[${i % 4}]`, k), line("XOR", wire[i] ^ k)]));
  };
  input.addEventListener("input", show);
  show();
  return el("div", "unmask", el("div", "", label, el("p", "quiet small", "XOR: a bit of the result is 1 if the two bits above differ. Doing it again undoes it (§5.3).")), steps);
}

function handshakeDetail(event) {
  const h = event.handshake;
  const [asking, asked] = event.side === "target" ? ["inspector", "target"] : ["client", "server"];
  const answer = h.response ? `The ${asked} agrees: from here on there are frames` : "No agreement";
  const parts = [title(h.error ? "Opening handshake, failed" : "Opening handshake", event)];
  if (h.error) parts.push(el("p", "bad", h.error));
  parts.push(el("div", "pair",
    http(`The ${asking} asks`, h.request, h.key),
    http(answer, h.response || "No response to show.", h.accept)));
  if (h.key) parts.push(steps(h));
  parts.push(el("p", "quiet small", "The request is shown as net/http has parsed it: the order of its fields is the alphabet’s. The response is as it was sent."));
  return parts;
}

function http(caption, message, marked) {
  const pre = el("pre", "wraps");
  const [before, ...after] = marked ? message.trimEnd().split(marked) : [message];
  pre.append(before);
  for (const rest of after) pre.append(el("mark", "", marked), rest);
  return el("figure", "", el("figcaption", "", caption), pre);
}

// steps is how a server proves that it speaks WebSocket (section 4.2.2).
function steps(h) {
  const list = el("ol", "steps",
    el("li", "", "Take Sec-WebSocket-Key as it came: ", el("mark", "", h.key)),
    el("li", "", "Append the GUID that only WebSocket knows: ", el("code", "", h.key, el("wbr"), h.guid)),
    el("li", "", "Hash that with SHA-1, which makes 20 bytes: ", el("code", "", h.sha1)),
    el("li", "", "Write them in base64: ", el("mark", "", h.accept)));
  return el("section", "part", el("h4", "", "From Sec-WebSocket-Key to Sec-WebSocket-Accept"), list);
}

export function show(event, target) {
  const keep = $("byte") === document.activeElement;
  $("detail").hidden = !event;
  $("detail").replaceChildren(...(event ? detail(event, target) : []));
  if (keep) $("byte")?.focus();
}
