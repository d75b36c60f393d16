// The browser's side of the page: the server sends its whole state whenever
// that has changed, and render makes the page look like it.

const $ = (id) => document.getElementById(id);

const address = new URL("live", location.href);
address.protocol = address.protocol.replace("http", "ws"); // https becomes wss

let state = { devices: [], events: [] };
let stateAt = performance.now(); // when it came

// The page comes back as the devices do: after a random part of a time that
// doubles, so that all pages of a server that restarts do not come at once.
const FIRST = 5000, MOST = 60000; // milliseconds
let failed = 0; // attempts since the last that brought anything

function connect() {
  showState("connecting");
  const socket = new WebSocket(address);
  let isNew = true;
  socket.onmessage = (event) => {
    if (isNew) $("log").replaceChildren(); // a server that was restarted counts its events anew
    isNew = false;
    failed = 0;
    state = JSON.parse(event.data);
    stateAt = performance.now();
    showState("live");
    render();
  };
  socket.onclose = () => {
    const wait = Math.random() * Math.min(FIRST * 2 ** failed++, MOST);
    showState("lost", `lost, next attempt in ${Math.ceil(wait / 1000)} s`);
    if (!isNew) $("summary").textContent = "This is how it was when the connection to the server was lost.";
    setTimeout(connect, wait);
  };
}

function showState(name, text = name) {
  $("state").dataset.state = name;
  $("devices").classList.toggle("stale", name !== "live");
  if ($("state").textContent !== text) $("state").textContent = text;
}

function render() {
  const { devices, events } = state;
  const here = devices.filter((d) => d.here).length;
  const reports = devices.reduce((sum, d) => sum + d.reports, 0);
  $("summary").textContent = `${here} of ${devices.length} here, ${reports.toLocaleString("en")} reports counted, each once.`;
  $("none").hidden = devices.length > 0;
  for (const [i, device] of devices.entries()) renderDevice(device, i);
  while ($("devices").children.length > devices.length) $("devices").lastChild.remove();
  renderEvents(events);
}

// renderDevice brings the i-th card up to date, and makes it if it is new.
function renderDevice(device, i) {
  const list = $("devices");
  if (list.children[i]?.dataset.name !== device.name) {
    const card = $("device").content.cloneNode(true).firstElementChild;
    card.dataset.name = device.name;
    list.insertBefore(card, list.children[i] ?? null); // both are sorted by name
  }
  const card = list.children[i];
  const show = (part, text) => {
    const element = card.querySelector(part);
    if (element.textContent !== text) element.textContent = text;
  };
  card.className = `device ${device.here ? "here" : "away"}`;
  show(".name", device.name);
  show(".presence", device.here ? "here" : "away");
  show(".about", device.here ? device.about : device.why);
  show(".reports", device.reports.toLocaleString("en"));
  show(".duplicates", device.duplicates === 0 ? "none" : `${device.duplicates.toLocaleString("en")}, not counted`);
  show(".address", device.address || "unknown");
  const last = device.recent?.at(-1);
  show(".celsius", last ? `${last.celsius.toFixed(1)} °C` : "no report");
  show(".at", last ? `at ${clock(last.at)}` : "");
  card.querySelector("polyline").setAttribute("points", curve(device.recent ?? []));
  renderAge(card, device);
}

// renderAge says how long ago a device was heard, which changes without it.
function renderAge(card, device) {
  const silent = device.silent + performance.now() - stateAt;
  const text = device.silent < 0 ? "not yet" : silent < 1000 ? "just now" : `${Math.floor(silent / 1000)} s ago`;
  const element = card.querySelector(".heard");
  if (element.textContent !== text) element.textContent = text;
}

setInterval(() => {
  state.devices.forEach((device, i) => renderAge($("devices").children[i], device));
}, 500);

// curve makes the points of a line from reports, at least 2 °C high.
function curve(reports) {
  const values = reports.map((r) => r.celsius);
  const low = Math.min(...values), high = Math.max(...values);
  const range = Math.max(high - low, 2), middle = (low + high) / 2;
  return values
    .map((v, i) => `${(100 * i) / Math.max(values.length - 1, 1)},${15 - (26 * (v - middle)) / range}`)
    .join(" ");
}

// renderEvents adds the events that are new.
function renderEvents(events) {
  const log = $("log");
  const newest = Number(log.lastChild?.dataset.id ?? 0);
  for (const event of events.filter((e) => e.id > newest)) {
    const entry = document.createElement("li");
    entry.dataset.id = event.id;
    entry.append(element("time", clock(event.at)), element("b", event.device), element("span", event.text));
    log.append(entry);
    log.scrollTop = log.scrollHeight;
  }
  while (log.children.length > 500) log.firstChild.remove(); // a page left open stays small
}

function element(name, text) {
  const e = document.createElement(name);
  e.textContent = text;
  return e;
}

function clock(time) {
  return new Date(time).toLocaleTimeString("en-GB");
}

connect();
