// The traffic: every message as it happens, and one of them in full.
import { html, mount, signal, computed, batch, watch, act, setting, useEffect, useRef, moment, Badge, Dot, Empty, Button, Field, Notice, online, Fold } from "./lib.js";

const most = 300; // rows that are drawn

// ---- the filters stand in the address ----

const names = ["site", "conn", "face", "tid", "method", "wrong"];
const query = new URLSearchParams(location.search);
const filters = Object.fromEntries(names.map((n) => [n, signal(query.get(n) ?? "")]));
const selected = signal(parseInt(query.get("message") ?? "0", 10) || 0);

function address() {
  const q = new URLSearchParams();
  for (const n of names) if (filters[n].value) q.set(n, filters[n].value);
  return q;
}

function writeAddress() {
  const q = address();
  if (selected.value) q.set("message", selected.value);
  history.replaceState(null, "", q.size ? "?" + q : location.pathname);
}

// ---- what was said ----

const rows = signal([]);
const lines = signal([]);
const paused = signal(false);
const held = signal(0); // rows that came while it was paused
const left = signal({ before: 0, passed: 0, gone: 0, dropped: 0 });
const refused = signal("");
const loaded = signal(false);
let waiting; // what came while it was paused, as one batch

// What has come lies in the model; it is drawn as often as this browser can, not
// as often as something comes. What is pushed out of the model before it was
// drawn is counted.
let model = [], drawn = 0, scheduled = false, dirty = false, soonest = 0;

function take(b) {
  let list = b.first ? [] : model;
  if (b.first) {
    left.value = { before: b.before ?? 0, passed: 0, gone: 0, dropped: 0 };
    drawn = 0;
  }
  let { passed = 0, gone = 0, dropped = 0 } = b;
  if (b.rows) {
    list = list.concat(b.rows);
    const asked = new Map();
    for (const r of b.rows) if (r.answers) asked.set(r.answers, r.seq); // a request learns of its answer when that comes
    if (asked.has(selected.value)) open(selected.value);
    if (asked.size) list = list.map((r) => asked.has(r.seq) && !r.answer ? { ...r, answer: asked.get(r.seq) } : r);
    const out = list.length - most;
    if (out > 0) {
      if (!b.first && !document.hidden) passed += list.slice(0, out).filter((r) => r.seq > drawn).length;
      list = list.slice(out);
    }
  }
  if (b.verdicts) {
    const news = new Map(b.verdicts.map((v) => [v.seq, v]));
    list = list.map((r) => news.has(r.seq) ? { ...r, ...news.get(r.seq) } : r);
  }
  model = list;
  batch(() => {
    if (b.lines) lines.value = b.lines;
    if (!b.first && passed + gone + dropped) {
      const l = left.value;
      left.value = { ...l, passed: l.passed + passed, gone: l.gone + gone, dropped: l.dropped + dropped };
    }
  });
  dirty = true;
  schedule();
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => requestAnimationFrame(draw), Math.max(0, soonest - performance.now()));
}

// draw shows the model, and leaves the browser three times as long as that took
// for other things.
function draw() {
  const began = performance.now();
  dirty = false;
  batch(() => {
    loaded.value = true;
    rows.value = model;
  });
  drawn = model.at(-1)?.seq ?? drawn;
  requestAnimationFrame(() => {
    const now = performance.now();
    soonest = now + Math.max(50, 3 * (now - began - 16));
    scheduled = false;
    if (dirty) schedule();
  });
}

let ends;
function begin() {
  ends?.();
  waiting = undefined;
  model = [];
  batch(() => { rows.value = []; held.value = 0; refused.value = ""; loaded.value = false; });
  const f = Object.fromEntries(names.map((n) => [n, filters[n].value.trim()]));
  ends = watch("traffic", { ...f, conn: parseInt(f.conn || "0", 10) || 0, wrong: f.wrong !== "" }, (b) => {
    if (!paused.value) return take(b);
    waiting = waiting && !b.first ? merged(waiting, b) : b;
    held.value = (b.first ? 0 : held.value) + (b.rows?.length ?? 0);
  }, (error) => { refused.value = error; });
}

// merged is what two batches tell, of the rows as many as are drawn.
function merged(a, b) {
  const rows = [...(a.rows ?? []), ...(b.rows ?? [])], out = Math.max(0, rows.length - most);
  return {
    first: a.first, before: a.before, rows: rows.slice(out), verdicts: [...(a.verdicts ?? []), ...(b.verdicts ?? [])].slice(-2 * most), lines: b.lines ?? a.lines,
    passed: (a.passed ?? 0) + (b.passed ?? 0) + out, gone: (a.gone ?? 0) + (b.gone ?? 0), dropped: (a.dropped ?? 0) + (b.dropped ?? 0),
  };
}

function pause(on) {
  paused.value = on;
  held.value = 0;
  if (on || !waiting) return;
  const b = waiting;
  waiting = undefined;
  take(b);
}

let typing;
function filter(name, value, soon) {
  filters[name].value = value;
  writeAddress();
  clearTimeout(typing);
  typing = setTimeout(begin, soon ? 0 : 300);
}

// ---- one message ----

const detail = signal(null);
const lost = signal("");

async function open(seq) {
  selected.value = seq;
  writeAddress();
  if (!seq) { detail.value = null; return; }
  try {
    const d = await act("message", { seq });
    if (selected.value === seq) batch(() => { detail.value = d; lost.value = ""; });
  } catch (e) {
    if (selected.value === seq) batch(() => { detail.value = null; lost.value = e.message; });
  }
}

// ---- parts ----

const local = (at) => {
  const d = new Date(at);
  return d.toLocaleTimeString([], { hour12: false }) + "." + String(d.getMilliseconds()).padStart(3, "0");
};
const took = (ms) => ms < 1 ? "<1 ms" : ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + " s";
const peers = { till: "till", terminal: "terminal", gateway: "gateway" };
const apart = (r) => ["opened", "closed", "refused"].includes(r.kind); // no message
const title = (r) => r.kind === "opened" ? "connected" : r.kind === "closed" || r.kind === "refused" ? r.kind : r.kind === "unreadable" ? "not readable" : r.method || (r.kind === "error" ? "error" : "reply");

function Way({ r }) {
  const to = r.from === "gateway";
  const text = to ? "from the gateway" : "from the " + peers[r.from];
  return html`<span class=${"way " + (to ? "out" : "in")} title=${text}><span aria-hidden="true">${to ? "←" : "→"}</span><span class="vh">${text}</span></span>`;
}

function Mark({ r }) {
  if (r.kind === "refused") return html`<${Badge} kind="bad">refused<//>`;
  if (apart(r)) return null;
  if (r.wrong < 0) return html`<span class="quiet" title="Nobody has looked at it yet">·<span class="vh">not judged yet</span></span>`;
  if (r.wrong === 0) return r.kind === "error" ? html`<${Badge} kind="bad">error<//>` : null;
  return html`<${Badge} kind=${r.tolerated ? "warn" : "bad"}>${r.wrong} ${r.wrong === 1 ? "deviation" : "deviations"}<//>`;
}

function Row({ r, chosen, partner }) {
  return html`<tr data-seq=${r.seq} class=${[chosen ? "chosen" : partner ? "partner" : "", r.kind].join(" ")} onClick=${() => open(r.seq)}>
    <td class="mono traffic-time">${local(r.at)}</td>
    <td><${Way} r=${r} /></td>
    <th scope="row"><button type="button" class="traffic-name" aria-pressed=${chosen} onClick=${(e) => { e.stopPropagation(); open(r.seq); }}>${title(r)}</button>
      ${r.kind === "reply" && html` <span class="quiet">reply</span>`}</th>
    <td class="traffic-gist" title=${r.gist}>${r.gist}</td>
    <td><${Mark} r=${r} /></td>
    <td class="mono quiet traffic-tid">${r.tid}</td>
    <td class="num quiet">${r.id}</td>
    <td class="num quiet">${r.answers ? took(r.after ?? 0) : ""}</td>
    <td class="num"><button type="button" class="traffic-conn" title="Only this connection" onClick=${(e) => { e.stopPropagation(); filter("conn", String(r.conn), true); }}>${r.conn}<span class="vh"> only this connection</span></button></td>
  </tr>`;
}

function move(e) {
  const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key];
  if (step === undefined) return;
  e.preventDefault();
  const list = rows.value, at = list.findIndex((r) => r.seq === selected.value);
  const next = list[Math.max(0, Math.min(list.length - 1, (at < 0 ? list.length - 1 : at) + step))];
  if (!next) return;
  open(next.seq);
  const button = e.currentTarget.querySelector(`tr[data-seq="${next.seq}"] .traffic-name`);
  button?.focus();
  button?.scrollIntoView({ block: "nearest" });
}

// Rows that have not changed are not compared again: a row keeps its node.
const drawnRows = new Map();

function nodes(list, partner) {
  const here = new Set(list.map((r) => r.seq));
  for (const seq of drawnRows.keys()) if (!here.has(seq)) drawnRows.delete(seq);
  return list.map((r) => {
    const chosen = r.seq === selected.value, mate = r.seq === partner, old = drawnRows.get(r.seq);
    if (old && old.r === r && old.chosen === chosen && old.mate === mate) return old.node;
    const node = html`<${Row} key=${r.seq} r=${r} chosen=${chosen} partner=${mate} />`;
    drawnRows.set(r.seq, { r, chosen, mate, node });
    return node;
  });
}

function List() {
  const list = rows.value, d = detail.value, box = useRef(), stuck = useRef(true);
  const partner = d && d.row.seq === selected.value ? d.row.answers || d.row.answer : 0;
  useEffect(() => { // stay at the end unless somebody scrolled away from it
    if (stuck.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [list]);
  const scrolled = (e) => { stuck.current = e.currentTarget.scrollHeight - e.currentTarget.scrollTop - e.currentTarget.clientHeight < 40; };
  return html`<div class="traffic-list" ref=${box} onScroll=${scrolled} onKeyDown=${move} tabindex="0" role="region" aria-label="Messages, the newest last; arrow keys move">
    <table id="traffic"><colgroup><col class="c-time" /><col class="c-way" /><col class="c-name" /><col /><col class="c-mark" /><col class="c-tid" /><col class="c-id" /><col class="c-after" /><col class="c-line" /></colgroup><thead><tr><th scope="col">Time</th><th scope="col"><span class="vh">Direction</span></th><th scope="col">Message</th><th scope="col">Says</th><th scope="col"><span class="vh">Deviations</span></th><th scope="col">TID</th><th scope="col" class="num">id</th><th scope="col" class="num">After</th><th scope="col" class="num">Line</th></tr></thead>
    <tbody>${nodes(list, partner)}</tbody></table>
  </div>`;
}

// Left says what the list does not show, and why.
function Left() {
  const l = left.value, words = [];
  if (l.before) words.push(`${l.before} older ones are kept`);
  if (l.passed) words.push(`${l.passed} were left out because more came than can be shown; a filter shows them`);
  if (l.gone) words.push(`${l.gone} were pushed out before this page could read them`);
  if (l.dropped) words.push(`${l.dropped} were never kept: they came faster than they could be taken in`);
  const late = lines.value.filter((x) => x.missed && x.open).length;
  if (late) words.push(`of ${late} open ${late === 1 ? "connection" : "connections"} something is missing: messages are kept only while somebody looks, unless this is a development gateway`);
  return html`<p id="left" class=${"traffic-left " + (l.passed + l.gone + l.dropped ? "warn-text" : "quiet")} role="status">${rows.value.length} shown${words.length > 0 && "; " + words.join("; ")}.${!selected.value && rows.value.length > 0 && " Choose one to read it whole."}</p>`;
}

const cell = (text) => {
  const m = /^("(?:[^"\\]|\\.)*": )?(.*?)(,?)$/s.exec(text);
  if (!m) return text;
  const [, key, value, comma] = m;
  const kind = /^"/.test(value) ? "i" : /^[-\d]/.test(value) ? "u" : /^(true|false|null)$/.test(value) ? "s" : "";
  return html`${key && html`<b>${key.slice(0, -2)}</b>: `}${kind === "i" ? html`<i>${value}</i>` : kind === "u" ? html`<u>${value}</u>` : kind === "s" ? html`<s>${value}</s>` : value}${comma}`;
};

function Json({ lines, deviations }) {
  return html`<pre class="json traffic-json" id="json" tabindex="0" aria-label="The message">${lines.map((l) => html`<span class=${"line" + (l.marks ? " marked" : "")}>${"  ".repeat(l.depth)}${l.marks ? html`<mark>${cell(l.text)}</mark>` : cell(l.text)}${"\n"}${l.marks?.map((i) => html`<span class="traffic-mark">${"  ".repeat(l.depth)}▲ ${deviations[i].text}${"\n"}</span>`)}</span>`)}</pre>`;
}

const Link = ({ r, children }) => html`<a href=${"?" + (() => { const q = address(); q.set("message", r.seq); return q; })()} onClick=${(e) => { e.preventDefault(); open(r.seq); }}>${children ?? html`${local(r.at)} ${title(r)}`}</a>`;

function Detail() {
  const d = detail.value;
  if (lost.value && selected.value) return html`<section class="panel traffic-detail" aria-label="Message"><p class="quiet">${lost.value}</p></section>`;
  if (!d) return null;
  const { row: r, peer: p } = d;
  return html`<section class="panel stack traffic-detail" id="detail" aria-labelledby="detail-title">
    <div class="toolbar"><h2 id="detail-title" class="grow">${d.title || title(r)}</h2><${Button} kind="quiet small" id="detail-close" onClick=${() => open(0)}>Close<//></div>
    <p class="quiet">${r.kind === "refused" ? r.gist : apart(r) ? "" : r.from === "gateway" ? `gateway → ${r.face === "terminal" ? "terminal" : "till"}` : `${r.from} → gateway`} · ${moment(r.at)} · ${r.size} bytes</p>
    ${d.deviations.length > 0 && html`<div class=${"note " + (d.deviations.every((x) => x.tolerated) ? "warn" : "bad")} id="deviations"><ul>${d.deviations.map((x) => html`<li>${x.text}${x.tolerated && html` <span class="quiet">(let pass unless the site is strict)</span>`}</li>`)}</ul></div>`}
    ${d.deviations.length === 0 && d.schema && !d.unjudged && html`<p><${Dot} kind="good">As the contract has it<//></p>`}
    ${d.unjudged && d.unjudged !== "not a message" && html`<p><${Dot} kind="unsure">Not judged: ${d.unjudged}<//></p>`}
    <dl class="facts">
      ${d.request && html`<dt>Answers</dt><dd><${Link} r=${d.request} /> after ${took(r.after ?? 0)}</dd>`}
      ${d.answer && html`<dt>Answered by</dt><dd><${Link} r=${d.answer} /> after ${took(d.answer.after ?? 0)}</dd>`}
      ${r.kind === "request" && !d.answer && html`<dt>Answered</dt><dd>not yet</dd>`}
      ${d.about && html`<dt>Probably about</dt><dd><${Link} r=${d.about} /></dd>`}
      ${d.of && html`<dt>Part of</dt><dd><${Link} r=${d.of} /></dd>`}
      ${d.schema && html`<dt>Schema</dt><dd><a href=${d.schema}>${d.schema.replace("/docs/schemas/", "")}</a></dd>`}
    </dl>
    ${d.lines.length > 0 && html`<${Json} lines=${d.lines} deviations=${d.deviations} />`}
    ${d.cut && html`<p class="quiet">Only the beginning is kept.</p>`}
    ${d.part && html`<details><summary>${d.part.length} messages are part of it</summary><ol class="traffic-part">${d.part.map((x) => html`<li><${Link} r=${x} /> <span class="quiet">${x.gist}</span></li>`)}</ol></details>`}
    <details><summary>Connection ${p.conn}</summary><dl class="facts">
      <dt>Site</dt><dd>${p.site}</dd><dt>Path</dt><dd>/${p.face} ${p.version}</dd><dt>From</dt><dd class="mono">${p.remote}</dd><dt>Key</dt><dd class="mono">${p.key}</dd>
      ${p.softwareHouse && html`<dt>Software house</dt><dd>${p.softwareHouse}</dd><dt>Installer</dt><dd>${p.installer}</dd>`}
      ${p.extensions && html`<dt>Extensions</dt><dd>${p.extensions.join(", ")}</dd>`}
      <dt>Opened</dt><dd>${moment(p.opened)}</dd>${p.ended && html`<dt>Ended</dt><dd>${moment(p.ended)}</dd>`}
    </dl></details>
  </section>`;
}

const script = computed(() => {
  const q = new URLSearchParams();
  for (const n of ["site", "conn", "face", "tid"]) if (filters[n].value.trim()) q.set(n, filters[n].value.trim());
  return "/console/traffic/script" + (q.size ? "?" + q : "");
});

function Filters() {
  const f = filters;
  const faces = [["", "All paths"], ["pac", "/pac – Pay-At-Counter"], ["pat", "/pat – Pay-At-Table"], ["terminal", "/terminal – card machines"]];
  return html`<${Fold} label="Filters" set=${names.filter((n) => f[n].value).length}><form class="fields traffic-filters" role="search" aria-label="Which messages" onSubmit=${(e) => e.preventDefault()}>
    ${setting.sites.length > 1 && html`<${Field} id="f-site" label="Site"><select id="f-site" value=${f.site.value || setting.sites[0]} onChange=${(e) => { f.conn.value = ""; filter("site", e.currentTarget.value, true); }}>${setting.sites.map((s) => html`<option value=${s}>${s}</option>`)}</select><//>`}
    <${Field} id="f-conn" label="Connection"><select id="f-conn" value=${f.conn.value} onChange=${(e) => filter("conn", e.currentTarget.value, true)}>
      <option value="">All</option>
      ${f.conn.value && !lines.value.some((l) => String(l.conn) === f.conn.value) && html`<option value=${f.conn.value}>${f.conn.value}</option>`}
      ${lines.value.map((l) => html`<option value=${String(l.conn)}>${l.conn} ${l.name}${l.open ? "" : " (closed)"}</option>`)}
    </select><//>
    <${Field} id="f-face" label="Path"><select id="f-face" value=${f.face.value} onChange=${(e) => filter("face", e.currentTarget.value, true)}>${faces.map(([v, t]) => html`<option value=${v}>${t}</option>`)}</select><//>
    <${Field} id="f-tid" label="TID"><input id="f-tid" class="mono" value=${f.tid.value} maxlength="64" autocomplete="off" spellcheck="false" onInput=${(e) => filter("tid", e.currentTarget.value)} /><//>
    <${Field} id="f-method" label="Method or notification"><input id="f-method" class="mono" value=${f.method.value} maxlength="64" autocomplete="off" spellcheck="false" list="methods" onInput=${(e) => filter("method", e.currentTarget.value)} /><//>
    <datalist id="methods">${["sale", "refund", "cancelTransaction", "duplicate", "signatureVerificationRequest", "terminalNotification", "tableLockRequest", "transactionResponse"].map((m) => html`<option value=${m} />`)}</datalist>
    <label class="check" for="f-wrong"><input type="checkbox" id="f-wrong" checked=${f.wrong.value !== ""} onChange=${(e) => filter("wrong", e.currentTarget.checked ? "1" : "", true)} /> Only errors and deviations</label>
  </form><//>`;
}

function Page() {
  useEffect(() => {
    begin();
    if (selected.value) {
      const wait = online.subscribe((s) => { if (s === "live" && !detail.value) open(selected.value); });
      return wait;
    }
  }, []);
  useEffect(() => {
    const key = (e) => { if (e.key === "Escape" && selected.value) open(0); };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  return html`<div class="stack traffic-page">
    <div class="toolbar"><h1 class="grow">Traffic</h1>
      <${Button} id="pause" aria-pressed=${paused.value} onClick=${() => pause(!paused.value)}>${paused.value ? `Go on${held.value ? ` (${held.value} new)` : ""}` : "Pause"}<//>
      ${filters.face.value === "terminal" ? html`<${Button} id="export" disabled title="A scenario has the tills' side of a conversation; choose another path">Export as a scenario<//>`
        : html`<a class="button" id="export" href=${script.value} download title="As a scenario that tillwire replay plays again">Export as a scenario</a>`}
    </div>
    <${Filters} />
    ${refused.value && html`<${Notice} kind="bad">${refused.value}<//>`}
    <div class=${"traffic-split" + (selected.value ? " reading" : "")}>
      <div class="traffic-main">
        ${rows.value.length > 0 ? html`<${List} />` : !loaded.value ? html`<${Empty}>Listening…<//>` : html`<${Empty}>Nothing was said yet that fits. Messages come here as they pass.<//>`}
        <${Left} />
      </div>
      <${Detail} />
    </div>
  </div>`;
}

mount(Page);
