// The page: its own WebSocket, which it inspects, a second one that brings the
// events of the first, and the list of these events.

import { $, clock, closeOf, count, el, fromClient, meaning, bytes, opcodeName, route, toHex } from "./dom.js";
import { show } from "./detail.js";

const tab = crypto.getRandomValues(new Uint32Array(2)).join("-"); // so the server's end can be asked for

function place(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws"); // https becomes wss
  return url;
}

// The observer's connection.

let target = ""; // the server to which the inspector passes messages on, if it does
let observer;

function observe() {
  observer = new WebSocket(place("observe"));
  observer.onopen = () => setState("watching", "watching", "connected");
  observer.onmessage = (event) => observed(JSON.parse(event.data));
  observer.onclose = () => {
    setState("watching", "gone", "closed");
    showError("The inspector has ended, or is out of reach. Start it and reload this page.");
  };
}

function observed(event) {
  switch (event.kind) {
    case "hello":
      target = event.target ?? "";
      $("about").textContent = target ? `Between this page, or any client of ${place("ws")}, and ${target}.`
        : `Beside its own echo at ${place("ws")}, for this page and any other client.`;
      break;
    case "error":
      showError(event.text);
      break;
    case "dropped":
      append(null, el("span", "bad", `${count(event.count, "event")} left out here: this page was too slow.`));
      break;
    default:
      append(event, ...summary(event));
  }
}

function ask(command) {
  showError("");
  observer.send(JSON.stringify({ ...command, tab }));
}

// The client's connection.

let socket;

function connect() {
  const url = place("ws");
  if ($("compress").checked) url.searchParams.set("compress", "1");
  url.searchParams.set("tab", tab);
  const protocols = $("protocols").value.split(",").map((name) => name.trim()).filter(Boolean);
  let wasOpen = false;
  showError("");
  try {
    socket = new WebSocket(url, protocols);
  } catch (error) {
    return showError(`The browser refused: ${error.message}`);
  }
  socket.binaryType = "arraybuffer";
  showState();
  socket.onopen = () => {
    wasOpen = true;
    showState();
  };
  socket.onclose = (event) => {
    showState(`closed: ${event.code}, ${meaning(event.code)}`);
    if (!wasOpen) showError("The browser did not get a connection, and does not say why.");
    else if (event.code === 1014) showError(`The target cannot be reached: ${event.reason}`);
  };
}

function send(data) {
  showError("");
  socket.send(data); // the inspector tells the rest
}

function close(code, reason) {
  try {
    if (code === "") socket.close(); // a close frame without a payload
    else socket.close(Number(code), reason);
    showError("");
  } catch (error) {
    showError(error.name === "SyntaxError" ? "The browser refused the reason: it is longer than 123 bytes in UTF-8."
      : `The browser refused code ${code}: a script may close with 1000 or with 3000 to 4999.`);
  }
  showState();
}

const STATES = ["connecting", "connected", "closing", "closed"]; // by readyState

function showState(text) {
  const state = STATES[socket.readyState];
  setState("state", text ?? state, state);
  $("connect").disabled = state !== "closed";
  for (const button of document.querySelectorAll(".needs-connection")) button.disabled = state !== "connected";
}

function setState(id, text, state) {
  $(id).textContent = text;
  $(id).dataset.state = state;
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

// The forms.

function onSubmit(form, action) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

const MOST_RANDOM = 16 << 20;

onSubmit("connect-form", connect);
onSubmit("text-form", () => send($("text").value));

onSubmit("hex-form", () => {
  const digits = $("hex").value.replace(/0x|[\s,:]/gi, "");
  if (/[^0-9a-f]/i.test(digits) || digits.length % 2) return showError("Bytes are pairs of hex digits, such as 00 7f ff.");
  send(bytes(digits));
});

onSubmit("size-form", () => {
  const n = Number($("size").value || NaN);
  if (!Number.isInteger(n) || n < 0 || n > MOST_RANDOM) return showError(`The number must be a whole one from 0 to ${MOST_RANDOM}.`);
  const data = new Uint8Array(n);
  for (let i = 0; i < n; i += 65536) crypto.getRandomValues(data.subarray(i, i + 65536)); // it fills no more at once
  send(data);
});

onSubmit("close-form", () => {
  const code = $("code").value.trim();
  if (!/^\d*$/.test(code)) return showError(`“${code}” is not a close code: it is a number.`);
  if (code === "" && $("reason").value !== "") return showError("A reason follows a code in the close frame: give a code too.");
  close(code, $("reason").value);
});

onSubmit("ping-form", () => ask({ do: "ping", text: $("ping").value }));
$("long").addEventListener("click", () => ask({ do: "long" }));
$("server-close").addEventListener("click", () => ask({ do: "close", code: 1001, text: "the server goes away" }));

// The list.

const MOST_ENTRIES = 1000; // a page left open stays small
const events = new WeakMap(); // of the buttons in the list

// summary is an event's line in the list.
function summary(event) {
  const line = [el("time", "", clock(event.time))];
  const middle = { handshake: handshakeLine, frame: frameLine, end: endLine }[event.kind](event);
  const side = target && event.kind !== "frame" ? `${event.side} side: ` : "";
  line.push(el("span", "who", event.kind === "frame" ? route(event, target) : `connection ${event.conn}`));
  line.push(...middle.slice(0, 1), el("span", "preview", side, ...middle.slice(1)));
  return line;
}

function handshakeLine({ handshake }) {
  const [first] = (handshake.request || "").split("\r\n");
  return [el("span", "kind", "handshake"), handshake.error ? `failed: ${handshake.error}` : `${first} → 101`];
}

const endLine = ({ text }) => [el("span", "kind", "end"), text];

function frameLine({ frame }) {
  const flags = [frame.part > 1 || frame.message && !(bytes(frame.header)[0] & 0x80) ? `message ${frame.message}, part ${frame.part}` : "",
    frame.compressed ? "compressed" : "", count(frame.length, "byte")];
  return [el("span", "kind", opcodeName(frame.opcode)), `${flags.filter(Boolean).join(", ")}  `, ...preview(frame)];
}

// preview shows the beginning of a frame's content, or of the whole message if it is compressed.
function preview(frame) {
  const shown = bytes(frame.compressed ? frame.whole?.bytes ?? "" : frame.payload).subarray(0, 80);
  if (frame.opcode === 8) return [el("code", "", closeOf(shown).code), " ", meaning(closeOf(shown).code)];
  if (shown.length === 0) return [];
  if (frame.type === 2) return [el("code", "", Array.from(shown.subarray(0, 24), toHex).join(" "))];
  return [el("q", "text", new TextDecoder().decode(shown, { stream: true }).replace(/\s/g, " "))];
}

function append(event, ...line) {
  const entry = el("li");
  if (event) {
    const button = el("button", `entry ${event.kind}`, ...line);
    if (event.kind === "frame") button.classList.add(fromClient(event) ? "up" : "down");
    events.set(button, event);
    entry.append(button);
  } else entry.append(...line);
  const log = $("log");
  const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 40;
  log.append(entry);
  if (log.children.length > MOST_ENTRIES) log.firstChild.remove();
  $("empty").hidden = true;
  if ($("follow").checked && event) select(entry.firstChild);
  if (atEnd || $("follow").checked) log.scrollTop = log.scrollHeight;
}

function select(button) {
  $("log").querySelector("[aria-current]")?.removeAttribute("aria-current");
  button?.setAttribute("aria-current", "true");
  show(button && events.get(button), target);
}

// pick is a selection by hand: it ends the following of the newest.
function pick(button) {
  const newest = [...$("log").querySelectorAll("button")].at(-1);
  $("follow").checked = button === newest;
  select(button);
}

$("log").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) pick(button);
});

$("log").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...$("log").querySelectorAll("button")];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  next?.focus();
  if (next) pick(next);
});

$("follow").addEventListener("change", () => {
  if ($("follow").checked) select([...$("log").querySelectorAll("button")].at(-1));
});

$("clear").addEventListener("click", () => {
  $("log").replaceChildren();
  $("empty").hidden = false;
  select();
});

for (const button of document.querySelectorAll(".needs-connection")) button.disabled = true;
observe();
