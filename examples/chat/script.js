// The browser's side of the chat: join, talk, and come back after every end.

const $ = (id) => document.getElementById(id);

// Each path is a room.
const roomName = location.pathname.split("/").pop() || "lobby";
const address = new URL(`ws/${roomName}`, location.href);
address.protocol = address.protocol.replace("http", "ws"); // https becomes wss

let socket;
let name = sessionStorage.getItem("name") ?? "";
let me = ""; // the name as the room gave it, perhaps with a number
let people = new Set();
let typists = new Map(); // who types just now, and the timer that forgets it
const TYPING_SHOWN = 4000;
const TYPING_TOLD = 2000;
let typedAt = 0; // when the room was told last

// Lines have numbers, so that those seen before are not shown again after a
// reconnect. Another life of the room begins anew.
let room = "";
let lastSeq = 0;

// What was sent and has not come back, by ID. If the connection ends first, perhaps
// nobody heard it: it goes back into the field. Another page's lines have other IDs.
const underway = new Map();
let nextID = 1 + Math.floor(Math.random() * 2 ** 40);

// Coming back: each attempt waits longer, up to half a minute, and a random part
// of that, lest all the pages of a server that was restarted come at once.
// A server that says that it restarts, or is too busy, has many pages: they take more time.
const FIRST_WAIT = 500;
const ASKED_WAIT = 3000;
const LONGEST_WAIT = 30_000;
let wait = FIRST_WAIT;
let timer;
let why = ""; // the last connection that there was has ended; "" while there is one

const CODES = { 1001: "the server is going away", 1012: "the server restarts", 1013: "the server is too busy" };

function connect() {
  clearTimeout(timer);
  if (why === "") showState("connecting");
  socket = new WebSocket(address);
  socket.onopen = () => send({ name });
  socket.onmessage = (event) => received(JSON.parse(event.data));
  socket.onclose = (event) => {
    if (name === "") return; // who is being asked for a name has time
    if ([1001, 1012, 1013].includes(event.code)) wait = Math.max(wait, ASKED_WAIT);
    const delay = Math.random() * wait;
    wait = Math.min(2 * wait, LONGEST_WAIT);
    timer = setTimeout(connect, delay);
    // Not what an attempt has failed of, which is always the same (1006).
    why ||= event.reason || CODES[event.code] || "the connection was lost";
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
    case "typing":
      if (event.name !== me) types(event.name);
      break;
    case "joined":
      people.add(event.name);
      note(`${event.name} came`, event.time);
      showPeople();
      break;
    case "left":
      people.delete(event.name);
      typesNoMore(event.name);
      note(`${event.name} left`, event.time);
      showPeople();
      break;
    case "error":
      showError(event.text);
      if ($("state").dataset.state !== "connected") askName();
      else takeBack([event.id]);
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
  for (const line of event.history ?? []) said(line); // which may hold what is underway
  me = event.name;
  if (underway.size === 0) return;
  showError("The connection was lost before your last words had come back. They are in the field again.");
  takeBack([...underway.keys()]);
}

// takeBack puts lines that were not said in front of what is being written.
function takeBack(ids) {
  const lines = ids.map((id) => underway.get(id) ?? "");
  for (const id of ids) underway.delete(id);
  $("text").value = [...lines, $("text").value].filter((text) => text !== "").join(" ");
}

function said(event) {
  if (event.seq <= lastSeq) return;
  lastSeq = event.seq;
  underway.delete(event.id);
  typesNoMore(event.name);
  const line = document.createElement("li");
  line.append(span("who", event.name), span("content", event.text), clock(event.time));
  append(line);
}

// Who types is shown for a while, and no longer when the line has come.
function types(name) {
  clearTimeout(typists.get(name));
  typists.set(name, setTimeout(() => typesNoMore(name), TYPING_SHOWN));
  showTypists();
}

function typesNoMore(name) {
  clearTimeout(typists.get(name));
  if (typists.delete(name)) showTypists();
}

function showTypists() {
  const names = [...typists.keys()];
  $("typing").textContent = names.length === 0 ? "" : names.length > 3 ? "several are typing" : `${names.join(", ")} typing`;
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
  element.textContent = text; // never innerHTML: what others write is text
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
  send({ text, id: nextID });
  typedAt = 0;
  underway.set(nextID++, text);
  $("text").value = "";
});

$("text").addEventListener("input", () => {
  if ($("state").dataset.state !== "connected" || socket.readyState !== WebSocket.OPEN) return;
  if (Date.now() - typedAt < TYPING_TOLD) return;
  typedAt = Date.now();
  send({ typing: true });
});

// Back from sleep, or from no network: no need to wait.
addEventListener("online", () => {
  if (name !== "" && socket?.readyState === WebSocket.CLOSED) connect();
});

$("room-name").textContent = roomName;
document.title = `Chat: ${roomName}`;
if (name !== "") join();
