// The browser's side: it comes back to the next node when its node is gone, asks for what it has
// missed, and repeats what was not acknowledged. So a message is lost or doubled at no time.

const $ = (id) => document.getElementById(id);
const room = location.pathname.split("/").pop() || "lobby";

// The client's secret makes it the same one for all nodes. Each message has an id that no other
// message of this client has, after a reload of the page either.
const stored = (key, make) => sessionStorage.getItem(key) ?? (sessionStorage.setItem(key, make()), sessionStorage.getItem(key));
const client = stored("client", randomText);
const page = randomText().slice(0, 8);
let serial = 0;
let name = sessionStorage.getItem("name") ?? "";

function randomText() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

// What was said and not acknowledged, the oldest first. Only the first is under way, so that the
// order stays even if a message has to be repeated.
const pending = JSON.parse(sessionStorage.getItem("pending " + room) ?? "[]");
let repeat; // the timer that repeats the first

// How far we are. Without an epoch we are new here.
let last = 0;
let epoch = "";

// The nodes. The page's own is the first, and hello tells the others.
let nodes = [location.origin];
let turn = 0;

let socket;
let live = false; // the history has come
let heard = 0; // when the node was heard last
const counts = { received: 0, gaps: 0, doubles: 0, connections: 0 };

// Attempts wait for a random time, whose bound doubles up to half a minute, and a node that is
// unreachable costs a moment only, as the next attempt goes to another one.
const FIRST_WAIT = 300;
const LONGEST_WAIT = 30_000;
const PING_EVERY = 3000;
const SILENCE = 8000; // after which a node is given up: it may be dead without a word
let wait = FIRST_WAIT;
let timer;

function connect() {
  clearTimeout(timer);
  live = false;
  heard = Date.now();
  const s = new WebSocket(nodes[turn % nodes.length].replace("http", "ws") + "/ws");
  socket = s;
  s.onopen = () => {
    counts.connections++;
    send({ type: "hello", name, client });
    join();
  };
  s.onmessage = (message) => {
    if (s === socket) received(JSON.parse(message.data));
  };
  s.onclose = (event) => {
    if (s === socket) ended(event.reason || REASONS[event.code] || "the connection was lost");
  };
}

const REASONS = { 1012: "the node restarts", 1013: "too slow", 1008: "refused" };

function join() {
  const after = epoch === "" ? {} : { after: last, epoch };
  send({ type: "join", room, key: $("key").value, ...after });
}

// ended goes on to the next node.
function ended(why) {
  live = false;
  clearTimeout(repeat);
  turn++;
  timer = setTimeout(connect, Math.random() * wait);
  wait = Math.min(2 * wait, LONGEST_WAIT);
  showState("reconnecting", `looking for another node: ${why}`);
}

// giveUp ends a connection without waiting for the other side, which may be gone.
function giveUp(why) {
  const s = socket;
  socket = null;
  s.close();
  ended(why);
}

function send(request) {
  socket.send(JSON.stringify(request));
}

setInterval(() => {
  if (socket?.readyState === WebSocket.OPEN) send({ type: "ping", time: Math.round(performance.now()) });
  if (socket && socket.readyState <= WebSocket.OPEN && Date.now() - heard > SILENCE) giveUp("the node is silent");
}, PING_EVERY);

function received(answer) {
  heard = Date.now();
  switch (answer.type) {
    case "hello":
      $("node").textContent = answer.node;
      if (answer.nodes) useNodes(answer.nodes);
      break;
    case "events":
      answer.events.forEach(event);
      break;
    case "live":
      live = true;
      epoch = answer.epoch;
      last = Math.max(last, answer.seq ?? 0);
      wait = FIRST_WAIT;
      showState("connected", `you are ${name}`);
      showError("");
      sendFirst(); // not earlier: the history may hold it
      break;
    case "reset":
      if (last > 0) note("Messages are missing here: the history does not go back that far.");
      counts.gaps++;
      last = 0;
      epoch = "";
      break;
    case "ack":
      settled(answer.id);
      break;
    case "here":
      showPeople(answer);
      break;
    case "pong":
      $("lag").textContent = `${Math.max(0, Math.round(performance.now() - answer.time))} ms`;
      break;
    case "error":
      failed(answer);
  }
  showFigures();
}

// useNodes takes the list of all nodes, and begins with the one that we are connected to.
function useNodes(list) {
  const now = nodes[turn % nodes.length];
  nodes = list;
  turn = Math.max(0, list.indexOf(now));
}

// event shows a message. Each says the number of the one before, so nothing can be missing unseen.
function event(e) {
  if (e.seq <= last) {
    counts.doubles++;
    return;
  }
  if (last > 0 && e.prev !== last) {
    counts.gaps++;
    note("Messages are missing here.");
  }
  last = e.seq;
  counts.received++;
  settled(`${e.id}`);
  const line = document.createElement("li");
  line.append(span("seq", e.seq), span("who", e.name), span("content", e.text), clock(e.time));
  append(line);
}

// settled takes a message from those that are pending: it was acknowledged, or has come back.
function settled(id) {
  if (pending[0]?.id !== id) return;
  pending.shift();
  keepPending();
  sendFirst();
}

function sendFirst() {
  clearTimeout(repeat);
  if (pending.length === 0 || !live || socket?.readyState !== WebSocket.OPEN) return;
  send({ type: "say", room, ...pending[0] });
  repeat = setTimeout(sendFirst, 6000 + Math.random() * 2000);
}

function failed(answer) {
  if (answer.again && answer.id) {
    clearTimeout(repeat);
    repeat = setTimeout(sendFirst, 500 + Math.random() * 1000);
  } else if (answer.again) {
    giveUp(answer.text);
  } else {
    showError(answer.text);
    if (answer.id && pending[0]?.id === answer.id) settled(answer.id);
    else if (!live) askName();
  }
}

function keepPending() {
  sessionStorage.setItem("pending " + room, JSON.stringify(pending));
}

function note(text) {
  const line = document.createElement("li");
  line.className = "note";
  line.append(span("content", text));
  append(line);
}

function append(line) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.children.length > 2000) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function clock(time) {
  const element = document.createElement("time");
  const date = new Date(time);
  element.dateTime = date.toISOString();
  element.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return element;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text; // never innerHTML: what others write is text
  return element;
}

function showPeople(here) {
  $("count").textContent = here.count ?? 0;
  $("people").replaceChildren(...(here.members ?? []).map((member) => {
    const item = document.createElement("li");
    item.textContent = member;
    return item;
  }));
}

function showFigures() {
  for (const [id, value] of Object.entries(counts)) $(id).textContent = value;
  $("last").textContent = last || "none";
  $("pending").textContent = pending.length;
}

function showState(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

function showError(text) {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

function askName() {
  clearTimeout(timer);
  const s = socket;
  socket = null; // so nothing comes back by itself
  s?.close();
  name = "";
  sessionStorage.removeItem("name");
  $("name-form").hidden = false;
  $("room").hidden = true;
  showState("asking", "who are you?");
  $("name").focus();
}

function enter() {
  sessionStorage.setItem("name", name);
  $("name-form").hidden = true;
  $("room").hidden = false;
  $("text").focus();
  showState("connecting", "connecting");
  connect();
}

$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("name").value.trim();
  if (name !== "") enter();
});

// A message may be written at any time. It is sent when that is possible.
$("text-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text === "") return;
  pending.push({ id: `${page}-${++serial}`, text });
  keepPending();
  $("text").value = "";
  if (pending.length === 1) sendFirst();
  showFigures();
});

// Back from sleep, or from no network: no need to wait.
addEventListener("online", () => {
  if (name !== "" && socket?.readyState === WebSocket.CLOSED) connect();
});

$("room-name").textContent = room;
document.title = `Cluster: ${room}`;
if (name !== "") enter();
