// A frame's header as RFC 6455 section 5.2 draws it: rows of 32 bits.

import { count, el, bytes, opcodeName, table, toBits, toHex } from "./dom.js";

// fields divides a header into its fields.
function fields(frame) {
  const header = bytes(frame.header);
  const bits = Array.from(header, toBits).join("");
  const made = [];
  let at = 0;
  const field = (name, n, meaning) => {
    made.push({ name, bits: bits.slice(at, at + n), meaning });
    at += n;
  };
  const [fin, rsv1] = bits;
  field("FIN", 1, fin === "1" ? "the last frame of its message" : "more frames of this message will follow");
  field("RSV1", 1, rsv1 === "1" ? "permessage-deflate: this message is compressed (RFC 7692 §6)" : "no compressed message begins here");
  field("RSV2", 1, "for extensions that nobody has made: 0");
  field("RSV3", 1, "the same");
  field("opcode", 4, `0x${frame.opcode.toString(16)} = ${opcodeName(frame.opcode)}`
    + (frame.opcode === 0 ? `, of the ${opcodeName(frame.type)} message that is under way` : ""));
  field("MASK", 1, frame.masked ? "a masking key follows, as in every frame from a client" : "no masking key, as in every frame from a server");
  const short = header[1] & 0x7f;
  field("Payload len", 7, short < 126 ? `${short}: the 7-bit form, for up to 125 bytes`
    : short === 126 ? "126: the length is in the next 16 bits" : "127: the length is in the next 64 bits");
  if (short === 126) field("Extended payload length", 16, `${frame.length.toLocaleString("en")}: the 16-bit form, for 126 to 65,535`);
  if (short === 127) field("Extended payload length", 64, `${frame.length.toLocaleString("en")}: the 64-bit form, for 65,536 and more`);
  if (frame.masked) field("Masking-key", 32, `random, and new for each frame`);
  return made;
}

const spaced = (hex) => Array.from(bytes(hex), toHex).join(" ");

// header shows a diagram, and says the same in words.
export function header(frame) {
  const all = fields(frame);
  const n = frame.header.length / 2;
  return el("section", "part",
    el("h4", "", `Header: ${count(n, "byte")} `, el("code", "", spaced(frame.header))),
    diagram(all, frame.length > 0),
    table("The header’s fields", ["Field", "Bits, or bytes in hex", "Meaning"],
      all.map(({ name, bits, meaning }) => [name, el("code", "", bits.length < 16 ? bits : inHex(bits)), meaning])));
}

// diagram is for the eyes: the table says the same to everybody.
function diagram(all, hasPayload) {
  const grid = el("div", "bits");
  for (let i = 0; i < 32; i++) grid.append(el("span", i % 8 ? "ruler" : "ruler byte", String(i)));
  let column = 0;
  for (const { name, bits } of all) {
    for (let from = 0; from < bits.length;) {
      const n = Math.min(bits.length - from, 32 - column);
      grid.append(cell(from ? `${name} (continued)` : name, bits.slice(from, from + n), n));
      from += n;
      column = (column + n) % 32;
    }
  }
  if (column && hasPayload) grid.append(cell("Payload data", "", 32 - column, "payload"));
  const box = el("div", "scrolls diagram", grid);
  box.ariaHidden = "true";
  return box;
}

function cell(name, bits, width, kind = "") {
  const c = el("span", `field ${kind} ${width === 1 ? "flag" : ""} ${bits === "1" ? "set" : ""}`,
    el("span", "name", name), el("span", "value", inBytes(bits)));
  c.style.gridColumn = `span ${width}`;
  return c;
}

const inHex = (bits) => bits.match(/.{8}/g).map((byte) => toHex(parseInt(byte, 2))).join(" ");

// inBytes puts spaces between the bytes of a long field.
const inBytes = (bits) => bits.replace(/.{8}(?=.)/g, "$& ");
