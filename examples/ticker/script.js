// The browser's side of the ticker: it shows prices, and how late they are here.

const $ = (id) => document.getElementById(id);

const address = new URL("ws", location.href);
address.protocol = address.protocol.replace("http", "ws"); // https becomes wss

const LATE = 250; // ms

let offset = 0; // of this clock from the server's, give or take the way of the first message
let prices = new Map(); // symbol to its last price
let cells = new Map(); // symbol to the element that shows it
let changed = new Set(); // symbols to be drawn

// Since the numbers were shown last.
let received = 0;
let superseded = 0;
let lag = 0;
let worst = 0; // since the beginning

// Coming back: each attempt waits longer, and a random part of that. A server that says that it
// restarts has many pages: they take more time.
const FIRST_WAIT = 500;
const ASKED_WAIT = 3000;
const LONGEST_WAIT = 30_000;
let wait = FIRST_WAIT;

function connect() {
  const socket = new WebSocket(address);
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.prices) begin(message);
    else price(message);
    work(Number($("pause").value));
  };
  socket.onclose = (event) => {
    if ([1001, 1012, 1013].includes(event.code)) wait = Math.max(wait, ASKED_WAIT);
    setTimeout(connect, Math.random() * wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
    showState("reconnecting", event.code === 1006 ? "reconnecting: the connection was lost" : `reconnecting: closed with ${event.code}`);
  };
}

// begin takes the first message: all prices.
function begin(snapshot) {
  wait = FIRST_WAIT;
  offset = Date.now() - snapshot.now;
  $("rate").textContent = snapshot.rate.toLocaleString();
  showState("connected", "connected");
  cells.clear();
  $("prices").replaceChildren(...snapshot.prices.map((p) => {
    const item = document.createElement("li");
    const value = document.createElement("span");
    item.append(p.symbol, value);
    cells.set(p.symbol, value);
    return item;
  }));
  prices = new Map(snapshot.prices.map((p) => [p.symbol, p]));
  for (const p of snapshot.prices) show(p.symbol, "");
}

function price(p) {
  const last = prices.get(p.symbol);
  superseded += p.seq - last.seq - 1;
  received++;
  lag = Math.max(lag, Date.now() - offset - p.time);
  p.direction = p.price >= last.price ? "up" : "down";
  prices.set(p.symbol, p);
  changed.add(p.symbol);
}

// work is busy for some time: so this page reads slowly.
function work(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

// Drawing once a frame is enough for eyes.
function draw() {
  for (const symbol of changed) show(symbol, prices.get(symbol).direction);
  changed.clear();
  requestAnimationFrame(draw);
}

function show(symbol, direction) {
  const cell = cells.get(symbol);
  cell.textContent = prices.get(symbol).price.toFixed(2);
  cell.className = direction;
}

function showNumbers() {
  worst = Math.max(worst, lag);
  $("received").textContent = `${received.toLocaleString()} a second`;
  $("superseded").textContent = `${superseded.toLocaleString()} a second`;
  for (const [id, value] of [["lag", lag], ["worst", worst]]) {
    $(id).textContent = `${Math.max(0, value).toLocaleString()} ms`;
    $(id).dataset.late = value > LATE ? "yes" : "no";
  }
  received = superseded = lag = 0;
}

function showState(state, text) {
  $("state").dataset.state = state;
  $("state").textContent = text;
}

$("pause").addEventListener("input", () => {
  const ms = $("pause").value;
  $("pause-shown").textContent = ms === "0" ? "none" : `${ms} ms`;
  worst = 0;
});

setInterval(showNumbers, 1000);
requestAnimationFrame(draw);
connect();
