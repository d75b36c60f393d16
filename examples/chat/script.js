// The browser's side of the chat: join, talk, and come back after every end.

const $ = (id) => document.getElementById(id);

const address = new URL("ws", location.href);
address.protocol = address.protocol.replace("http", "ws"); // https becomes wss

let socket;
let name = sessionStorage.getItem("name") ?? "";
let me = ""; // the name as the room gave it, perhaps with a number
let people = new Set();

// Lines have numbers, so that those seen before are not shown again after a
// reconnect. Another run of the server begins anew.
let room = "";
let lastSeq = 0;

// The lines that were sent and have not come back. If the connection ends first,
// perhaps nobody got them: they go back into the field.
let underway = [];

// Coming back: each attempt waits longer, up to half a minute, and a random part
// of that, lest all the pages of a server that was restarted come at once.
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
let wait = FIRST_WAIT;
let timer;
let why = ""; // the last connection that there was has ended; "" while there is one

function connect() {
  clearTimeout(timer);
  if (why === "") showState("connecting");
  socket = new WebSocket(address);
  socket.onopen = () => send({ name });
  socket.onmessage = (event) => received(JSON.parse(event.data));
  socket.onclose = (event) => {
    if (name === "") return; // the visitor has to choose a name first
    const delay = Math.random() * wait;
    wait = Math.min(2 * wait, LONGEST_WAIT);
    timer = setTimeout(connect, delay);
    // Not the reason of a failed attempt, which is always the same (1006).
    why ||= event.reason || (event.code === 1001 ? "the server is going away" : "the connection was lost");
    showState("reconnecting", `reconnecting: ${why}`);
  };
}

function send(request) {
  socket.send(JSON.stringify(request));
}

function received(event) {
  switch (event.kind) {
    case "welcome":
      wait = FIRST_WAIT;
      why = "";
      welcome(event);
      break;
    case "said":
      said(event);
      break;
    case "joined":
      people.add(event.name);
      note(`${event.name} came`, event.time);
      showPeople();
      break;
    case "left":
      people.delete(event.name);
      note(`${event.name} left`, event.time);
      showPeople();
      break;
    case "error":
      showError(event.text);
      if ($("state").dataset.state !== "connected") askName();
      else takeBack(underway.splice(0, 1)); // refusals and lines come in the order in which they were sent
  }
}

function welcome(event) {
  if (event.room !== room) {
    room = event.room;
    lastSeq = 0;
  }
  people = new Set(event.members);
  showPeople();
  showState("connected", `you are ${event.name}`);
  showError("");
  for (const line of event.history ?? []) said(line); // the history may hold lines that are underway
  me = event.name;
  if (underway.length === 0) return;
  showError("The connection was lost before your last words had come back. They are in the field again.");
  takeBack(underway.splice(0));
}

// takeBack puts lines that were not published in front of the text in the field.
function takeBack(lines) {
  $("text").value = [...lines, $("text").value].filter((text) => text !== "").join(" ");
}

function said(event) {
  if (event.seq <= lastSeq) return;
  lastSeq = event.seq;
  if (event.name === me) underway.shift();
  const line = document.createElement("li");
  line.append(span("who", event.name), span("content", event.text), clock(event.time));
  append(line);
}

function note(text, time) {
  const line = document.createElement("li");
  line.className = "note";
  line.append(span("content", text), clock(time));
  append(line);
}

function append(line) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.children.length > 500) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function clock(time) {
  const element = document.createElement("time");
  element.dateTime = time;
  element.textContent = new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return element;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text; // never innerHTML: the words of others are text
  return element;
}

function showPeople() {
  $("people").replaceChildren(...[...people].sort().map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    return item;
  }));
}

function showState(state, text = state) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

function join() {
  sessionStorage.setItem("name", name);
  $("name-form").hidden = true;
  $("room").hidden = false;
  $("text").focus();
  if (socket?.readyState === WebSocket.OPEN) send({ name }); // another try
  else connect();
}

function askName() {
  name = "";
  sessionStorage.removeItem("name");
  showState("asking", "who are you?");
  $("name-form").hidden = false;
  $("room").hidden = true;
  $("name").focus();
}

$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("name").value.trim();
  if (name !== "") join();
});

$("text-form").addEventListener("submit", (event) => {
  event.preventDefault();
  // Nothing is sent while the connection is down, and the draft stays.
  if (socket.readyState !== WebSocket.OPEN || $("state").dataset.state !== "connected") {
    showError("Not connected just now. Your text stays here until it can be sent.");
    return;
  }
  showError("");
  const text = $("text").value.trim();
  if (text === "") return;
  send({ text });
  underway.push(text);
  $("text").value = "";
});

// Back from sleep, or from no network: no need to wait.
addEventListener("online", () => {
  if (name !== "" && socket?.readyState === WebSocket.CLOSED) connect();
});

if (name !== "") join();
