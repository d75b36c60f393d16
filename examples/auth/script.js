// The browser's side: a form over HTTP, and lines over a WebSocket.

const $ = (id) => document.getElementById(id);

let socket;

function connect(path) {
  socket?.close(1000, "another connection");
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws"); // https becomes wss
  const mine = socket = new WebSocket(address);
  let wasOpen = false;
  $("log").replaceChildren();
  ask("");
  showError("");
  showState("connecting");
  mine.onopen = () => {
    wasOpen = true;
    showState("connected");
    $("line").focus();
  };
  mine.onmessage = (event) => {
    append("received", event.data);
    ask(event.data);
  };
  mine.onclose = (event) => {
    if (mine !== socket) return;
    ask("");
    showState("closed", `closed: ${event.code} ${event.reason}`);
    // A script is not told the status of a handshake that was refused.
    if (!wasOpen) showError(`${path} did not let us in. Are you logged in?`);
  };
}

// ask makes the field hide its text if the server asks for a password.
function ask(question) {
  $("line").type = question === "password:" ? "password" : "text";
}

async function post(path, body) {
  try {
    const response = await fetch(path, { method: "POST", body });
    return response.ok ? "" : await response.text();
  } catch (error) {
    return error.message;
  }
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wrong = await post("login", new URLSearchParams(new FormData($("login-form"))));
  $("login-result").textContent = wrong || "Logged in: the cookie is set, and no script can read it.";
  $("password").value = "";
});

$("logout").addEventListener("click", async () => {
  $("login-result").textContent = (await post("logout")) || "Logged out.";
});

$("connect-before").addEventListener("click", () => connect("before"));
$("connect-after").addEventListener("click", () => connect("after"));

$("line-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return showError("Not connected, so nothing was sent.");
  showError("");
  append("sent", $("line").type === "password" ? "•••" : $("line").value);
  socket.send($("line").value);
  $("line").value = "";
});

$("exit").addEventListener("click", () => socket?.close(1000, "exit"));

function append(direction, text) {
  const line = document.createElement("li");
  line.className = direction;
  const arrow = document.createElement("span");
  arrow.className = "direction";
  arrow.textContent = direction === "sent" ? "you" : "server";
  const content = document.createElement("span");
  content.className = "content";
  content.textContent = text;
  line.append(arrow, content);
  $("log").append(line);
  $("log").scrollTop = $("log").scrollHeight;
}

function showState(state, text = state) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}
