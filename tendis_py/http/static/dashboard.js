"use strict";
// Draws what /events tells: "history" once, then a "snapshot" a second (http/snapshot.py).
// Durations are [count, sum, p50, p90, p99, p99.9, max], in ns.

const COUNT = 0, P50 = 2, P90 = 3, P99 = 4, P999 = 5, MAX = 6;
const NOTHING = [0, 0, 0, 0, 0, 0, 0];
const POINT_SECONDS = 2, MOST_POINTS = 150, FEWEST_POINTS = 30;
const STAGES = {
  accept: "a new connection reaches its reactor",
  socket: "bytes lie in the kernel until they are read",
  parse: "read and parsed",
  pending: "behind earlier requests of the same client",
  queue: "in the work queue, until a thread takes it",
  lock: "for keys that other threads hold",
  execute: "the command itself",
  engine: "of which: reads of RocksDB",
  commit: "into RocksDB’s log",
  fsync: "until it is on the disk",
  respond: "until the reactor has the reply",
  write: "into the socket",
  outbox: "until the client has read the rest",
};
const MODELS = {
  tendis: "Reactors read and parse, and run a batch themselves while nothing else is under way. Otherwise it goes through the work queue to a pool of executors; slow commands have a lane of their own.",
  "tendis, always": "Reactors read and parse; every batch goes through the work queue to a pool of executors (work-queue-handoff always). Slow commands have a lane of their own.",
  kvrocks: "Every reactor has a listening socket of its own and runs the requests of its connections itself: there is no queue.",
  memcached: "One acceptor deals connections to the reactors in turn; each runs the requests of its own connections: there is no queue.",
  redis: "One reactor does everything, one batch after the other: there is no queue, and nobody else to wait for.",
  "redis-io": "Reactors read, parse and write in parallel; one thread executes all, round by round, with one commit a round.",
};

let snapshot = null, history = [], running = true, span = "10", drawn = 0;
const find = (id) => document.getElementById(id);

// Words and numbers

function duration(ns) {
  if (!ns) return "–";
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])
    if (ns >= size) return `${significant(ns / size)} ${unit}`;
  return `${Math.round(ns)} ns`;
}

function significant(value) {
  return value >= 100 ? Math.round(value).toString() : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function number(value) {
  if (value >= 1e9) return `${significant(value / 1e9)} G`;
  if (value >= 1e6) return `${significant(value / 1e6)} M`;
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : significant(value);
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1024 && unit < 4) { bytes /= 1024; unit++; }
  return `${unit ? significant(bytes) : Math.round(bytes)} ${units[unit]}`;
}

function percent(share) {
  if (share > 0 && share < 0.01) return "< 1 %";
  return `${Math.round(share * 100)} %`;
}

function age(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

// Elements

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(name, attributes = {}, ...children) {
  const isSvg = /^(svg|path|rect|text|line|g|title)$/.test(name);
  const element = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function colour(element, stage) {
  element.style.setProperty("--c", `var(--${stage in STAGES ? stage : "other"})`);
  return element;
}

/** Have `body` show `rows`: of cells {text, as, stage, meter}, kept where they were. */
function table(body, rows, emptyText, columns) {
  if (!rows.length) rows = [[{ text: emptyText, as: "empty", over: columns }]];
  rows.forEach((cells, index) => {
    let row = body.rows[index];
    const shape = cells.map((cell) => `${cell.as || ""}${cell.over || ""}${"stage" in cell}`).join();
    if (!row || row.dataset.shape !== shape) {
      const fresh = make("tr", { "data-shape": shape }, ...cells.map(newCell));
      row ? row.replaceWith(fresh) : body.append(fresh);
      row = fresh;
    }
    cells.forEach((cell, at) => fill(row.cells[at], cell));
  });
  while (body.rows.length > rows.length) body.deleteRow(-1);
}

function newCell(cell) {
  const made = cell.as === "head" ? make("th", { scope: "row" }) : make("td", { class: cell.as || "" });
  if (cell.over) made.colSpan = cell.over;
  if ("stage" in cell) made.append(make("span", { class: "swatch", "aria-hidden": "true" }), "");
  if ("meter" in cell) made.append(make("div", {}, make("i"), make("span")));
  return made;
}

function fill(element, cell) {
  if ("meter" in cell) {
    element.firstChild.firstChild.style.setProperty("--v", Math.min(1, cell.meter));
    element.classList.toggle("hot", cell.meter > 0.85);
    say(element.firstChild.lastChild, cell.text);
  } else if ("stage" in cell) {
    colour(element.firstChild, cell.stage);
    if (element.lastChild.data !== cell.text) element.lastChild.data = cell.text;
  } else say(element, cell.text);
}

const head = (text) => ({ text, as: "head" });
const right = (text) => ({ text, as: "n" });
const wide = (text) => ({ text, as: "n wide" });

// Figures

/** Of a row of stages, within a span of time. */
const within = (row, window) => (window === "all" ? row.all : row.recent[window]) || NOTHING;

// Sections

function showTop() {
  say(find("model"), snapshot.model);
  say(find("uptime"), age(snapshot.uptime));
}

let announced = "", announcedAt = 0;

function showFindings() {
  const findings = snapshot.findings;
  find("findings").parentElement.classList.toggle("warn", findings[0].cause !== "none");
  const box = find("findings");
  while (box.children.length > findings.length) box.lastChild.remove();
  findings.forEach((finding, index) => {
    let shown = box.children[index];
    if (!shown || !shown.classList.contains("finding")) {
      const fresh = make("div", { class: "finding" },
        make("p", { class: "seen" }, make("span", { class: "tag" }), make("span")),
        make("p", { class: "advice" }));
      shown ? shown.replaceWith(fresh) : box.append(fresh);
      shown = fresh;
    }
    const [tag, words] = shown.firstChild.children;
    tag.hidden = finding.cause === "none";
    say(tag, finding.cause.replaceAll("_", " "));
    say(words, finding.seen);
    say(shown.lastChild, finding.advice);
  });
  const first = findings[0].cause;
  if (first !== announced && performance.now() - announcedAt > 10000) {
    announced = first;
    announcedAt = performance.now();
    say(find("announcement"), findings[0].seen);
  }
}

function showTiles() {
  say(find("rate"), number(Math.round(snapshot.requests_per_second)));
  say(find("waiting"), number(snapshot.waiting));
  say(find("mean"), duration(snapshot.mean));
  say(find("clients"), number(snapshot.connected_clients));
  say(find("clients-more"), `${snapshot.blocked_clients} blocked, ${snapshot.subscribed_clients} subscribed, ${snapshot.tracking_clients} tracking`);
  say(find("network"), `${size(snapshot.input_bytes_per_second)}/s`);
  say(find("network-more"), `${size(snapshot.output_bytes_per_second)}/s out`);
  const lookups = snapshot.row_cache_hits + snapshot.row_cache_misses;
  say(find("cache"), lookups ? `${percent(snapshot.row_cache_hits / lookups)} hits` : size(snapshot.row_cache_bytes));
  say(find("cache-more"), lookups ? size(snapshot.row_cache_bytes) : "no reads yet");
}

function spark(id, values) {
  const svg = find(id), most = Math.max(...values, 1);
  if (!svg.firstChild) svg.append(make("path", { class: "area" }), make("path", { class: "edge" }));
  const first = Math.max(FEWEST_POINTS - values.length, 0), points = first + values.length;
  svg.setAttribute("viewBox", `0 0 ${points - 1} 40`);
  const line = values.map((value, at) => `${first + at} ${(38 - 34 * value / most).toFixed(1)}`).join("L");
  svg.lastChild.setAttribute("d", values.length > 1 ? `M${line}` : "");
  svg.firstChild.setAttribute("d", values.length > 1 ? `M${first} 40L${line}L${points - 1} 40Z` : "");
}

function showShares(shares) {
  const names = Object.keys(STAGES).filter((name) => name in shares);
  const [most] = names.toSorted((a, b) => shares[b] - shares[a]);
  say(find("bottleneck"), most && shares[most] ? `: ${percent(shares[most])} in ${most}` : "");
  const bar = find("shares"), legend = find("legend");
  if (bar.dataset.names !== names.join()) {
    bar.dataset.names = names.join();
    bar.replaceChildren(...names.map((name) => colour(make("div"), name)));
    legend.replaceChildren(...names.map((name) =>
      make("li", { title: STAGES[name] || "" }, colour(make("span", { class: "swatch" }), name), `${name} `, make("b"))));
  }
  names.forEach((name, at) => {
    bar.children[at].style.setProperty("--v", shares[name]);
    say(legend.children[at].lastChild, percent(shares[name]));
    legend.children[at].hidden = !shares[name];
  });
}

function showStages() {
  const rows = [];
  for (const row of snapshot.stages) {
    const it = within(row, span);
    if (!row.all[COUNT]) continue;
    rows.push([
      { text: row.stage, stage: row.stage, as: "whole" },
      { text: row.lane === row.pool ? row.lane : `${row.lane}, ${row.pool}`, as: "soft" },
      wide(number(it[COUNT])), right(duration(it[P50])), wide(duration(it[P90])),
      right(duration(it[P99])), { text: duration(it[P999]), as: "n wider" }, wide(duration(it[MAX])),
    ]);
  }
  table(find("stages"), rows, "nothing yet", 8);
}

function showCommands() {
  table(find("commands"), snapshot.commands.filter((it) => it.calls).map((it) => [
    head(it.name.toUpperCase()), right(number(it.per_second)), wide(number(it.calls)),
    wide(number(it.failed + it.rejected)), right(duration(it.service[P99])), right(duration(it.total[P99])),
  ]), "none so far", 6);
  const keys = snapshot.hot_keys.filter(([, share]) => share >= 0.01).map(([key, share]) => `${key} (${percent(share)})`);
  say(find("hot-keys"), keys.length ? `Hot keys, by their share of all requests: ${keys.join(", ")}` : "");
}

function showSlowlog() {
  table(find("slowlog"), snapshot.slowlog.map((it) => {
    const [longest] = Object.entries(it.stages).sort((a, b) => b[1] - a[1]);
    return [
      { text: `${age(snapshot.time - it.time)} ago` }, right(duration(it.us * 1000)), { text: it.command, as: "text" },
      { text: longest ? `${longest[0]} ${duration(longest[1] * 1000)}` : "", as: "wide" },
    ];
  }), "nothing slow", 4);
}

function showThreads() {
  const words = MODELS[`${snapshot.model}, ${snapshot.handoff}`] || MODELS[snapshot.model] || "";
  say(find("model-text"), `${snapshot.model}: ${words}`);
  const order = ["reactor", "executor", "slow", "apart"];
  const threads = snapshot.threads.toSorted((a, b) => order.indexOf(a.pool) - order.indexOf(b.pool));
  table(find("threads"), threads.map((it) => [
    head(it.name), { text: percent(it.busy), as: "meter", meter: it.busy }, wide(number(it.batches)),
    right(number(it.requests)), right(it.pool === "reactor" ? number(it.connections) : ""),
  ]), "none", 5);
}

function showQueues() {
  table(find("queues"), snapshot.queues.map((it) => [
    head(it.name), right(number(it.requests)), wide(number(it.peak_requests)),
    right(it.capacity_requests ? number(it.capacity_requests) : "no bound"), right(number(it.refused)), wide(number(it.paused)),
  ]), "this threading model has none", 6);
}

function showEngine() {
  const it = snapshot.engine;
  const trouble = it.is_stopped ? "Writes are stopped until compaction catches up."
    : it.delayed_write_rate ? `Writes are slowed down to ${size(it.delayed_write_rate)}/s until compaction catches up.`
    : it.level0_files >= 16 ? "Many files wait in level 0: writes will be slowed down soon." : "";
  const health = find("engine-health");
  say(health, trouble || "Keeping up: writes are not held back.");
  health.classList.toggle("warn", trouble !== "");
  const figures = {
    "memtables": size(it.memtable_bytes), "to be flushed": number(it.memtables_waiting),
    "files in level 0": number(it.level0_files), "compaction behind": size(it.pending_compaction_bytes),
    "write stalls": `${number(it.stalls)} (${duration(it.stalled_seconds * 1e9)})`, "running": `${it.running_compactions} compactions, ${it.running_flushes} flushes`,
    "block cache": size(it.block_cache_bytes), "log": size(it.log_bytes), "not synced yet": size(it.unsynced_bytes),
    "garbage": `${number(snapshot.garbage)} collections`, "expiry lag": duration(snapshot.expiry_lag_ms * 1e6),
  };
  const list = find("engine");
  if (!list.children.length)
    for (const name of Object.keys(figures)) list.append(make("div", {}, make("dt", {}, name), make("dd")));
  Object.values(figures).forEach((text, at) => say(list.children[at].lastChild, text));
}

// Charts

const LOWEST = 3, HIGHEST = 9; // powers of ten, ns

function showCharts() {
  const names = Object.keys(STAGES).filter((name) => history.some((moment) => moment.stages[name]));
  const box = find("charts");
  if (box.dataset.names !== names.join()) {
    box.dataset.names = names.join();
    box.replaceChildren(...names.map((name) => colour(
      make("figure", { class: "chart" },
        make("figcaption", {}, make("b", { title: STAGES[name] }, name), make("span")),
        make("svg", { role: "img" })), name)));
  }
  const now = history.length ? history[history.length - 1].time : 0;
  names.forEach((name, at) => chart(box.children[at], name, now));
}

function chart(figure, name, now) {
  const svg = figure.lastChild, width = Math.round(svg.clientWidth) || 240, height = 92;
  const y = (ns) => height - 4 - (height - 8) * Math.min(1, Math.max(0, (Math.log10(ns || 1) - LOWEST) / (HIGHEST - LOWEST)));
  if (svg.dataset.width !== String(width)) {
    svg.dataset.width = width;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    for (const [power, label] of [[4, "10 µs"], [6, "1 ms"], [8, "100 ms"]]) {
      svg.append(make("line", { class: "rule", x1: 0, x2: width, y1: y(10 ** power), y2: y(10 ** power) }));
      svg.append(make("text", { class: "scale", x: 3, y: y(10 ** power) - 2 }, label));
    }
    for (const kind of ["band", "p999", "p99", "p50"]) svg.append(make("path", { class: kind }));
  }
  const seconds = POINT_SECONDS * (Math.max(history.length, FEWEST_POINTS) - 1);
  const lines = ["", "", ""];
  let band = "", run = [], last = null;
  const close = () => {
    if (run.length > 1) band += `M${run.map(([x, top]) => `${x} ${top}`).join("L")}L${run.reverse().map(([x, , low]) => `${x} ${low}`).join("L")}Z`;
    run = [];
  };
  for (const moment of history) {
    const it = moment.stages[name];
    const x = (width * (1 - (now - moment.time) / seconds)).toFixed(1);
    if (!it) { close(); continue; }
    for (let kind = 0; kind < 3; kind++) lines[kind] += `${run.length ? "L" : "M"}${x} ${y(it[kind]).toFixed(1)}`;
    run.push([x, y(it[2]).toFixed(1), y(it[0]).toFixed(1)]);
    last = moment === history[history.length - 1] ? it : null;
  }
  close();
  const [bandPath, p999, p99, p50] = [...svg.children].slice(-4);
  bandPath.setAttribute("d", band);
  p50.setAttribute("d", lines[0]);
  p99.setAttribute("d", lines[1]);
  p999.setAttribute("d", lines[2]);
  const words = last ? `${duration(last[0])} · ${duration(last[1])} · ${duration(last[2])}` : "idle";
  say(figure.firstChild.lastChild, words);
  svg.setAttribute("aria-label", `${name} over the last minutes; now p50, p99 and p99.9: ${words}`);
}

// The pipeline: stations in the order that a request comes by

const STATIONS = ["accept", "socket", "parse", "pending", "queue", "lock", "execute", "commit", "fsync", "respond", "write", "outbox"];
const GROUPS = [["accept", "pending", "reactor"], ["lock", "fsync", "executor"], ["write", "outbox", "reactor"]];
let parts = null;

function showPipeline(stages, shares) {
  const box = find("pipeline"), upright = box.clientWidth < 860;
  const tanks = snapshot.queues.filter((queue) => /^(work|slow)$/.test(queue.name)).map((queue) => queue.name);
  const shape = `${upright}${tanks}`;
  if (!parts || parts.shape !== shape) {
    parts = { shape, texts: {}, bars: {}, levels: {}, boxes: {}, flows: [] };
    box.replaceChildren(upright ? drawUpright(tanks) : drawWide(tanks));
  }
  const rate = snapshot.requests_per_second;
  box.firstChild.style.setProperty("--pace", `${Math.max(0.35, 2.4 - 0.4 * Math.log10(rate + 1)).toFixed(1)}s`);
  const guilty = new Set(snapshot.findings.slice(0, 1).map((finding) => finding.stage));
  for (const name of [...STATIONS, "engine"]) {
    const it = stages[name] || NOTHING;
    text(`${name}-p50`, duration(it[P50]));
    text(`${name}-p99`, it[COUNT] ? `p99 ${duration(it[P99])}` : "");
    text(`${name}-share`, shares[name] ? percent(shares[name]) : "");
    if (parts.bars[name]) parts.bars[name].setAttribute("width", parts.bars[name].dataset.full * (shares[name] || 0));
    if (parts.boxes[name]) {
      parts.boxes[name].classList.toggle("guilty", guilty.has(name));
      parts.boxes[name].nextSibling.style.opacity = 0.35 * (shares[name] || 0);
    }
  }
  const of = (kind) => snapshot.queues.filter((queue) => queue.name === kind || queue.name.startsWith(`${kind}-`));
  for (const [kind, words] of [["work", "wait"], ["slow", "wait"], ["responses", "batches"], ["held", "held"]]) {
    const found = of(kind);
    const waits = found.reduce((sum, queue) => sum + queue.requests, 0);
    const peak = found.reduce((sum, queue) => sum + queue.peak_requests, 0);
    const capacity = found.reduce((sum, queue) => sum + queue.capacity_requests, 0) || 1024;
    text(`${kind}-depth`, found.length ? `${number(waits)} ${words}` : "");
    level(kind, Math.sqrt(waits / capacity), Math.sqrt(peak / capacity));
  }
  const threads = (pool) => snapshot.threads.filter((thread) => thread.pool === pool).length;
  const executors = threads("executor");
  text("inline", tanks.length ? `${percent(snapshot.inline_share)} of the batches run in the reactor itself` : "the reactor runs every batch itself");
  text("reactor", `${threads("reactor")} × reactor`);
  text("executor", executors ? `${executors} × executor${threads("slow") ? ", and a slow lane" : ""}` : "in the reactor");
  const moves = rate > 0;
  for (const [path, weight] of parts.flows) {
    const share = weight === "inline" ? snapshot.inline_share : weight === "queued" ? 1 - snapshot.inline_share : 1;
    path.style.opacity = moves && share > 0.005 ? 0.3 + 0.6 * share : 0;
  }
}

function text(name, words) {
  if (parts.texts[name]) say(parts.texts[name], words);
}

function level(name, share, peak) {
  const found = parts.levels[name];
  if (!found) return;
  share = Math.min(1, share);
  found.level.style.transform = found.flat ? `scaleX(${share})` : `scaleY(${share})`;
  const at = Math.min(1, peak) * found.length;
  found.peak.style.transform = found.flat ? `translateX(${at}px)` : `translateY(${-at}px)`;
  found.peak.style.opacity = peak > 0 ? 1 : 0;
}

function write(svg, name, x, y, kind, words = "") {
  parts.texts[name] = make("text", { x, y, class: kind }, words);
  svg.append(parts.texts[name]);
}

function flow(svg, d, weight) {
  svg.append(make("path", { class: "edge", d }));
  const path = make("path", { class: "flow", d });
  svg.append(path);
  parts.flows.push([path, weight]);
}

function tank(svg, name, x, y, width, height, flat) {
  const levelBox = make("rect", { class: flat ? "level flat" : "level", x, y, width, height, rx: 6 });
  const peak = make("path", { class: "peak", d: flat ? `M${x} ${y}l-5 -7h10z` : `M${x + width} ${y + height}l7 -5v10z` });
  svg.append(levelBox, peak);
  parts.levels[name] = { level: levelBox, peak, flat, length: flat ? width : height };
}

function drawWide(tanks) {
  const wide = 88, gap = 20, tall = 112, top = 72, step = wide + gap;
  const left = (name) => 12 + STATIONS.indexOf(name) * step;
  const svg = make("svg", { viewBox: `0 0 ${12 * step + 4} 290`, role: "img", "aria-label": "Stages from accept to write; their figures are in the table below" });
  for (const [from, to, pool] of GROUPS) {
    const x = left(from) - 8, until = left(to) + wide + 8;
    svg.append(make("rect", { class: "group", x, y: top - 10, width: until - x, height: tall + 36, rx: 10 }));
    if (from !== "write") write(svg, pool, x + 10, top + tall + 18, "pool left");
  }
  const middle = top + tall / 2;
  for (let at = 1; at < STATIONS.length; at++) {
    const x = left(STATIONS[at]), weight = /^(queue|lock)$/.test(STATIONS[at]) ? "queued" : "all";
    if (weight === "all" || tanks.length) flow(svg, `M${x - gap + 2} ${middle}H${x - 3}`, weight);
  }
  const [a, b] = [left("pending") + wide / 2, left("lock") + wide / 2];
  flow(svg, `M${a} ${top - 2}V44Q${a} 30 ${a + 14} 30H${b - 14}Q${b} 30 ${b} 44V${top - 4}`, "inline");
  write(svg, "inline", (a + b) / 2, 20, "faint");
  for (const name of STATIONS) {
    const x = left(name);
    if (name === "queue" && !tanks.length) continue;
    station(svg, name, x, top, wide, tall);
  }
  if (tanks.includes("slow")) {
    const x = left("queue");
    svg.append(make("rect", { class: "tank", x, y: 222, width: wide, height: 48, rx: 8 }));
    tank(svg, "slow", x + 1, 223, wide - 2, 46, false);
    svg.append(make("text", { x: x + wide / 2, y: 242, class: "name" }, "slow lane"));
    write(svg, "slow-depth", x + wide / 2, 260, "faint");
  }
  const x = left("execute");
  svg.append(make("path", { class: "edge", d: `M${x + wide / 2} ${top + tall + 2}V222` }));
  const engine = colour(make("g"), "engine");
  svg.append(engine);
  parts.boxes.engine = make("rect", { class: "box", x: x - 10, y: 222, width: wide + 20, height: 62, rx: 8 });
  engine.append(parts.boxes.engine, make("rect", { class: "tint", x: x - 10, y: 222, width: wide + 20, height: 62, rx: 8 }));
  engine.append(make("text", { x: x + wide / 2, y: 239, class: "name" }, "engine reads"));
  write(engine, "engine-p50", x + wide / 2, 258, "value");
  write(engine, "engine-p99", x + wide / 2, 275, "faint");
  return svg;
}

function station(svg, name, x, y, width, height) {
  const g = colour(make("g"), name), centre = x + width / 2;
  svg.append(g);
  g.append(make("title", {}, `${name}: ${STAGES[name]}`));
  parts.boxes[name] = make("rect", { class: "box", x, y, width, height, rx: 8 });
  g.append(parts.boxes[name], make("rect", { class: "tint", x, y, width, height, rx: 8 }));
  const kind = { queue: "work", respond: "responses" }[name];
  if (kind) g.classList.add("tankful");
  if (kind) tank(g, kind, x + 1, y + 1, width - 2, height - 2, false);
  g.append(make("text", { x: centre, y: y + 20, class: "name" }, name));
  write(g, `${name}-p50`, centre, y + 45, "value");
  write(g, `${name}-p99`, centre, y + 63, "faint");
  write(g, kind ? `${kind}-depth` : `${name}-share`, centre, y + 84, kind ? "depth" : "faint");
  bar(g, name, x + 10, y + height - 17, width - 20);
}

function bar(g, name, x, y, width) {
  g.append(make("rect", { class: "track", x, y, width, height: 7, rx: 3 }));
  parts.bars[name] = make("rect", { class: "bar", x, y, width: 0, height: 7, rx: 3, "data-full": width });
  g.append(parts.bars[name]);
}

function drawUpright(tanks) {
  const width = 360, tall = 44, step = 52;
  const names = STATIONS.flatMap((name) => name === "execute" ? ["execute", "engine"] : name === "queue" && !tanks.length ? [] : [name]);
  const svg = make("svg", { viewBox: `0 0 ${width} ${names.length * step + 24}`, role: "img", "aria-label": "Stages from accept to write; their figures are in the table below" });
  write(svg, "inline", width / 2, 12, "faint");
  names.forEach((name, at) => {
    const y = 20 + at * step, inset = name === "engine" ? 22 : 2;
    const g = colour(make("g"), name);
    if (at) flow(svg, `M${width / 2} ${y - step + tall + 1}V${y - 1}`, "all");
    svg.append(g);
    parts.boxes[name] = make("rect", { class: "box", x: inset, y, width: width - inset - 2, height: tall, rx: 8 });
    g.append(parts.boxes[name], make("rect", { class: "tint", x: inset, y, width: width - inset - 2, height: tall, rx: 8 }));
    const kind = { queue: "work", respond: "responses" }[name];
    if (kind) g.classList.add("tankful");
    if (kind) tank(g, kind, inset + 1, y + 1, width - inset - 4, tall - 2, true);
    g.append(make("text", { x: inset + 10, y: y + 20, class: "name left" }, name === "engine" ? "engine reads" : name));
    write(g, kind ? `${kind}-depth` : `${name}-share`, 188, y + 20, kind ? "depth right" : "faint right");
    write(g, `${name}-p50`, width - 96, y + 21, "value right");
    write(g, `${name}-p99`, width - 12, y + 20, "faint right");
    bar(g, name, inset + 10, y + tall - 13, width - inset - 22);
  });
  return svg;
}

// Running

function render() {
  if (!snapshot) return;
  const stages = Object.fromEntries(snapshot.whole.map((row) => [row.stage, within(row, "10")])), shares = snapshot.shares;
  showTop();
  showFindings();
  showTiles();
  showPipeline(stages, shares);
  showShares(shares);
  showStages();
  showCommands();
  showSlowlog();
  showThreads();
  showQueues();
  showEngine();
  if (history.length && history[history.length - 1].time !== drawn) {
    drawn = history[history.length - 1].time;
    spark("rate-line", history.map((moment) => moment.rate));
    spark("waiting-line", history.map((moment) => moment.waiting));
    spark("mean-line", history.map((moment) => moment.mean));
    showCharts();
  }
  document.body.dataset.time = snapshot.time;
}

function note(state, kind) {
  say(find("state"), state);
  find("dot").className = `dot ${kind}`;
  document.body.classList.toggle("running", kind === "on" && running);
}

function listen() {
  const events = new EventSource("events");
  events.addEventListener("history", (event) => {
    history = JSON.parse(event.data);
    drawn = 0;
  });
  events.addEventListener("snapshot", (event) => {
    const found = JSON.parse(event.data);
    if (found.moment && !history.some((moment) => moment.time === found.moment.time)) {
      history.push(found.moment);
      if (history.length > MOST_POINTS) history.shift();
    }
    if (!running) return;
    snapshot = found;
    note("live", "on");
    render();
  });
  events.addEventListener("trouble", () => running && note("no figures; see the server’s log", "off"));
  events.onerror = () => {
    if (running) note("no connection; trying again", "off");
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

find("pause").addEventListener("click", (event) => {
  running = !running;
  event.target.setAttribute("aria-pressed", String(!running));
  note(running ? "live" : "paused", running ? "on" : "");
});

find("windows").addEventListener("click", (event) => {
  const chosen = event.target.dataset.window;
  if (!chosen) return;
  span = chosen;
  for (const button of event.currentTarget.children)
    button.setAttribute("aria-pressed", String(button.dataset.window === chosen));
  if (snapshot) showStages();
});

let resizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => { drawn = 0; render(); });
});

listen();
