// The browser's side of the example. All it does with a WebSocket is in
// connect, send and close; the rest reads forms and writes the page.

const $ = (id) => document.getElementById(id);

const address = new URL("ws", location.href);
address.protocol = address.protocol.replace("http", "ws"); // https becomes wss
$("address").textContent = address.href;

let socket;

// The messages that were sent and have not come back. A WebSocket keeps messages in order,
// so each echo belongs to the oldest of them.
let underway = [];

function connect() {
  let wasOpen = false;
  underway = [];
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer"; // the default, Blob, is read asynchronously
  showState();
  socket.onopen = () => {
    wasOpen = true;
    showError("");
    showState();
    logEvent("connected");
  };
  socket.onmessage = (event) => received(event.data);
  // There is no onerror: browsers do not tell scripts the fault, and
  // every error is followed by a close event.
  socket.onclose = (event) => {
    showState();
    showClosed(event);
    if (!wasOpen) showError(`Could not connect to ${address.href}. Is the server running?`);
  };
}

function send(data) {
  // Once the connection is closing, send would drop the message in silence.
  if (socket.readyState !== WebSocket.OPEN) {
    showError("Not connected, so nothing was sent.");
    return;
  }
  socket.send(data);
  showError("");
  const message = describe(data);
  underway.push({ ...message, at: performance.now() });
  logMessage("sent", message);
}

function received(data) {
  const now = performance.now();
  const message = describe(data);
  const original = underway.shift();
  const same = original !== undefined && original.type === message.type && equal(original.bytes, message.bytes);
  const verdict = document.createElement("span");
  verdict.className = same ? "same" : "differs";
  verdict.textContent = same ? `same as sent, after ${(now - original.at).toFixed(1)} ms` : "different from the message sent";
  logMessage("received", message, verdict);
}

function close(code, reason) {
  try {
    if (code === "") socket.close(); // an empty close frame, which arrives as 1005
    else socket.close(Number(code), reason);
    showError("");
  } catch (error) {
    showError(explain(error, code));
  }
  showState();
}

// explain gives the meaning of the browser's exceptions from close.
function explain(error, code) {
  switch (error.name) {
    case "InvalidAccessError":
      return `The browser refused code ${code}: a script may close with 1000 or with 3000 to 4999. The other codes belong to the protocol.`;
    case "SyntaxError":
      return "The browser refused the reason: in UTF-8 it is longer than 123 bytes, the most that fits into a close frame beside the code.";
    default:
      return `${error.name}: ${error.message}`;
  }
}

// The forms.

function onSubmit(form, action) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

onSubmit("text-form", () => {
  send($("text").value);
  $("text").select();
});

onSubmit("hex-form", () => {
  const digits = $("hex").value.replace(/0x|[\s,:]/gi, "");
  const wrong = digits.match(/[^0-9a-f]/iu);
  if (wrong) return showError(`“${wrong[0]}” is not a hex digit.`);
  if (digits.length % 2) return showError(`${digits.length} hex digits do not make whole bytes: a byte takes two.`);
  send(Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16)));
});

const MOST_RANDOM = 64 << 20;

onSubmit("random-form", () => {
  const text = $("random").value.trim();
  const n = Number(text);
  if (text === "" || !Number.isInteger(n) || n < 0 || n > MOST_RANDOM) {
    return showError(`The number of random bytes must be a whole number from 0 to ${MOST_RANDOM}.`);
  }
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i += 65536) {
    crypto.getRandomValues(bytes.subarray(i, i + 65536)); // it fills no more at once
  }
  send(bytes);
});

onSubmit("file-form", async () => {
  const file = $("file").files[0];
  if (!file) return showError("Choose a file first.");
  try {
    send(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    showError(`The file could not be read: ${error.message}`);
  }
});

onSubmit("close-form", () => {
  const code = $("code").value.trim();
  const reason = $("reason").value;
  if (!/^\d*$/.test(code)) return showError(`“${code}” is not a close code: it is a number.`);
  if (code === "" && reason !== "") return showError("A reason follows a code in the close frame: give a code too.");
  close(code, reason);
});

$("reconnect").addEventListener("click", connect);
$("clear").addEventListener("click", () => $("log").replaceChildren());

// The page.

const STATES = ["connecting", "connected", "closing", "closed"]; // by readyState

function showState() {
  const state = STATES[socket.readyState];
  $("state").textContent = state;
  $("state").dataset.state = state;
  $("reconnect").hidden = state !== "closed";
  for (const button of document.querySelectorAll(".needs-connection")) button.disabled = state !== "connected";
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

const MEANINGS = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no code was sent",
  1006: "the connection was lost without a close frame",
  1007: "text that is not UTF-8",
  1008: "policy violation",
  1009: "message too big",
  1010: "an extension is missing",
  1011: "internal error",
  1012: "the service restarts",
  1013: "try again later",
  1014: "bad gateway",
  1015: "the TLS handshake failed",
};

function meaning(code) {
  if (code in MEANINGS) return MEANINGS[code];
  if (code >= 4000) return "for private use";
  if (code >= 3000) return "registered by a library or application";
  return "reserved";
}

function showClosed({ code, reason, wasClean }) {
  $("closed").hidden = false;
  $("closed-code").textContent = code;
  $("closed-meaning").textContent = meaning(code);
  $("closed-reason").textContent = reason || "none";
  $("closed-reason").className = reason ? "" : "quiet";
  $("closed-clean").textContent = wasClean;
  $("closed-clean-meaning").textContent = wasClean ? "both sides sent a close frame" : "no closing handshake";
  logEvent(`closed: code ${code}, reason ${JSON.stringify(reason)}, wasClean ${wasClean}`);
}

// describe turns the data of a message, a string or binary, into the text on the page.
function describe(data) {
  const text = typeof data === "string";
  const bytes = text ? new TextEncoder().encode(data) : new Uint8Array(data);
  return { type: text ? "text" : "binary", bytes, preview: text ? previewText(data) : previewHex(bytes) };
}

function previewText(text) {
  return text.length <= 2000 ? text : `${text.slice(0, 2000)}…`;
}

function previewHex(bytes) {
  const hex = Array.from(bytes.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return bytes.length <= 64 ? hex : `${hex} …`;
}

function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function logMessage(direction, { type, bytes, preview }, ...more) {
  const arrow = direction === "sent" ? "↑" : "↓";
  const size = `${bytes.length.toLocaleString("en")} ${bytes.length === 1 ? "byte" : "bytes"}`;
  const content = span("content", preview || "(empty)");
  logEntry(direction, [span("direction", `${arrow} ${direction}`), span("type", type), span("size", size), ...more], content);
}

function logEvent(text) {
  logEntry("event", [], span("happened", text));
}

function logEntry(kind, about, content) {
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString("en-GB", { fractionalSecondDigits: 3, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const line = document.createElement("div");
  line.className = "about";
  line.append(time, ...about);
  const entry = document.createElement("li");
  entry.className = kind;
  entry.append(line, content);
  $("log").append(entry);
  while ($("log").children.length > 500) $("log").firstChild.remove(); // a page left open stays small
  $("log").scrollTop = $("log").scrollHeight;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

connect();
