// The browser's side of the example: connect offers subprotocols, and speak and
// hear use the one that was agreed on.

const $ = (id) => document.getElementById(id);

let socket; // undefined until the first connection

function connect(offer, path, name) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws"); // https becomes wss
  address.searchParams.set("name", name);
  // With an empty list the request has no Sec-WebSocket-Protocol at all. A list
  // with something twice, or that is no token, is an exception.
  const ws = new WebSocket(address, offer);
  socket = ws;
  let wasOpen = false;
  showAddress(address.href, offer);
  showState();
  ws.onopen = () => {
    wasOpen = true;
    showAgreed(offer, ws.protocol);
    showState();
  };
  ws.onmessage = (event) => logMessage("received", `↓ received: ${hear(ws.protocol, event.data)}`, event.data);
  // There is no onerror: it would not say more than onclose does.
  ws.onclose = (event) => {
    showClosed(event, wasOpen, offer);
    showState();
  };
}

// speak makes the message that says text.
function speak(protocol, text) {
  return protocol === "chat.v2" ? JSON.stringify({ text }) : text;
}

// hear shows a message as text.
function hear(protocol, message) {
  if (protocol !== "chat.v2") return "no time in this version";
  const { from, at } = JSON.parse(message);
  return `from ${from}, at ${new Date(at).toLocaleTimeString()}`;
}

$("offer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const offer = $("offer").value.split(",").map((s) => s.trim()).filter((s) => s !== "");
  showError("");
  try {
    connect(offer, $("path").value, $("name").value);
  } catch (error) {
    showError(`${error.name}: ${error.message} (Each subprotocol may be offered once, and is a token: letters, digits and a few signs.)`);
  }
});

$("disconnect").addEventListener("click", () => {
  socket.close(1000);
  showState();
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return showError("Not connected, so nothing was sent.");
  const message = speak(socket.protocol, $("say").value);
  socket.send(message);
  logMessage("sent", "↑ sent", message);
  $("say").select();
});

// The page.

const STATES = ["connecting", "connected", "closing", "closed"]; // by readyState

function showState() {
  const state = STATES[socket.readyState];
  $("state").textContent = state;
  $("state").dataset.state = state;
  $("send").disabled = state !== "connected";
  $("disconnect").disabled = state !== "connected";
  $("connect").disabled = state !== "closed";
}

function showAddress(address, offer) {
  $("address").textContent = address;
  $("offered").textContent = offer.length ? offer.join(", ") : "none";
  $("agreed").textContent = "nothing yet";
  $("closed").textContent = "not closed";
  showMeaning("");
  $("log").replaceChildren();
}

function showAgreed(offer, protocol) {
  $("agreed").textContent = protocol || "none";
  if (offer.length === 0) {
    showMeaning("Nothing was offered, so nothing could be agreed on. The server takes such a client for an old one, and speaks chat.");
  } else if (protocol !== offer[0]) {
    showMeaning(offer.includes("chat.v2")
      ? "Of two that both sides speak the server's order decides, not the browser's."
      : "The first of the offer that the server speaks.");
  } else {
    showMeaning(`The response had Sec-WebSocket-Protocol: ${protocol}.`);
  }
}

function showClosed({ code, reason, wasClean }, wasOpen, offer) {
  $("closed").textContent = `code ${code}${reason ? `, reason “${reason}”` : ""}, wasClean ${wasClean}`;
  if (wasOpen) return;
  $("agreed").textContent = "nothing";
  showMeaning(offer.length
    ? "Either there was no answer, or a refusal, or the server agreed to a connection without any of the offered subprotocols: then a browser fails the connection, although RFC 6455 does not ask for it. A script is not told which; the developer tools are."
    : "There was no answer, or a refusal. A script is not told which; the developer tools are.");
}

function showMeaning(text) {
  $("meaning").textContent = text;
  $("meaning").hidden = text === "";
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

function logMessage(kind, about, message) {
  const entry = document.createElement("li");
  entry.className = kind;
  entry.append(div("about", about), div("content", message));
  $("log").append(entry);
  while ($("log").children.length > 500) $("log").firstChild.remove(); // a page left open stays small
  $("log").scrollTop = $("log").scrollHeight;
}

function div(className, text) {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  return element;
}
