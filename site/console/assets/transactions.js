// The record: what was asked and what became of it, one life in full, what nobody
// knows yet, and what a till is owed.
import { html, mount, signal, batch, watch, act, setting, useEffect, useState, moment, Badge, Dot, Empty, Button, Field, Notice, Clock, Receipt, money, minor, since, Fold } from "./lib.js";

const root = "/console/transactions";
const query = new URLSearchParams(location.search);
const site = () => query.get("site") ?? setting.sites[0];
const id = location.pathname.startsWith(root + "/") ? decodeURIComponent(location.pathname.slice(root.length + 1)) : "";

const kinds = { transaction: "Transaction", report: "Report", visit: "Visit to a table", table: "Stored table", orphan: "Orphan" };
const results = { SUCCESSFUL: "good", PAID: "good", COMPLETE: "good", DECLINED: "bad", VOID: "bad", UNSUCCESSFUL: "bad", CANCELLED: "bad", REFUSED: "bad", UNPAID: "", PART_PAID: "warn", TIMED_OUT: "unsure" };
const notes = { byHand: "by hand", conflict: "conflict" };

const lifeAddress = (entry) => root + "/" + encodeURIComponent(entry) + (setting.sites.length > 1 ? "?site=" + encodeURIComponent(site()) : "");
const when = (at) => {
  const d = new Date(at), today = new Date();
  const clock = d.toLocaleTimeString([], { hour12: false });
  return d.toDateString() === today.toDateString() ? clock : d.toLocaleDateString() + " " + clock;
};
const exact = (at) => {
  const d = new Date(at);
  return d.toLocaleTimeString([], { hour12: false }) + "." + String(d.getMilliseconds()).padStart(3, "0");
};
const amount = (n, currency) => currency ? money(n, currency) : "–";

function True({ e }) {
  const kind = e.result ? results[e.result] ?? "" : e.true === "did not run" ? "" : "unsure";
  return html`<${Badge} kind=${kind}>${e.true}<//>${e.note && html` <${Badge} kind=${e.note === "conflict" ? "bad" : "warn"}>${notes[e.note] ?? e.note}<//>`}`;
}

const tells = { result: "the result", error: "an error", timedOut: "TIMED_OUT", "-": "" };
const Told = ({ told }) => {
  const text = tells[told] ?? told;
  return text === "TIMED_OUT" ? html`<${Badge} kind="unsure">${text}<//>` : text || html`<span class="quiet">nothing yet</span>`;
};

// ---- the list ----

const names = ["view", "site", "tid", "kind", "state", "result", "from", "to"];
const filters = Object.fromEntries(names.map((n) => [n, signal(query.get(n) ?? "")]));
const list = signal(undefined);
const refused = signal("");
let ends, typing, shown;

const iso = (local) => local && !Number.isNaN(Date.parse(local)) ? new Date(local).toISOString() : "";

function begin() {
  ends?.();
  const f = Object.fromEntries(names.map((n) => [n, filters[n].value.trim()]));
  batch(() => { // the same list by another filter stays until the new one is there
    if (f.view !== shown) list.value = undefined;
    shown = f.view;
    refused.value = "";
  });
  const told = (data) => { list.value = data; }, failed = (e) => batch(() => { list.value = undefined; refused.value = e; });
  if (f.view === "outbox") {
    ends = watch("outbox", { site: f.site }, told, failed);
    return;
  }
  ends = watch("transactions", {
    site: f.site, tid: f.tid, kind: f.view === "orphans" ? "orphan" : f.kind, state: f.state, result: f.result,
    since: iso(f.from), until: iso(f.to), unresolved: f.view === "unresolved",
  }, told, failed);
}

function filter(name, value, soon) {
  filters[name].value = value;
  query.delete(name);
  const q = new URLSearchParams();
  for (const n of names) if (filters[n].value) q.set(n, filters[n].value);
  if (filters.site.value) query.set("site", filters.site.value);
  history.replaceState(null, "", q.size ? "?" + q : location.pathname);
  clearTimeout(typing);
  typing = setTimeout(begin, soon ? 0 : 300);
}

const views = [["", "All"], ["unresolved", "Unresolved"], ["orphans", "Orphans"], ["outbox", "Outbox"]];
const about = {
  unresolved: "Nobody knows yet what became of these. The terminal is asked again and again; say by hand what became of one only once you are certain.",
  orphans: "Terminals told of these, and nobody here knows the request: after a restore from a backup, or of a terminal that another gateway had. It may be money that no till has booked.",
  outbox: "What the Pay-At-Table till is owed and does not have. It is sent by itself, for one table in this order.",
};

function Filters() {
  const f = filters;
  const field = (name, label, rest = {}) => html`<${Field} id=${"f-" + name} label=${label}><input id=${"f-" + name} value=${f[name].value} maxlength="64" autocomplete="off" spellcheck="false" onInput=${(e) => filter(name, e.currentTarget.value)} ...${rest} /><//>`;
  return html`<${Fold} label="Filters" set=${names.filter((n) => n !== "view" && f[n].value).length}><form class="fields" role="search" aria-label="Which ones" onSubmit=${(e) => e.preventDefault()}>
    ${setting.sites.length > 1 && html`<${Field} id="f-site" label="Site"><select id="f-site" value=${f.site.value || setting.sites[0]} onChange=${(e) => filter("site", e.currentTarget.value, true)}>${setting.sites.map((s) => html`<option value=${s}>${s}</option>`)}</select><//>`}
    ${f.view.value !== "outbox" && html`
      ${field("tid", "TID", { class: "mono" })}
      ${f.view.value !== "orphans" && html`<${Field} id="f-kind" label="Kind"><select id="f-kind" value=${f.kind.value} onChange=${(e) => filter("kind", e.currentTarget.value, true)}><option value="">All</option>${Object.entries(kinds).map(([k, t]) => html`<option value=${k}>${t}</option>`)}</select><//>`}
      ${f.view.value === "" && html`
        ${field("state", "State", { list: "states" })}<datalist id="states">${["requested", "atTerminal", "signing", "unresolved", "finished", "listing", "locked", "paying", "settled", "unlocked", "refused"].map((s) => html`<option value=${s} />`)}</datalist>
        <${Field} id="f-result" label="True, or told"><select id="f-result" value=${f.result.value} onChange=${(e) => filter("result", e.currentTarget.value, true)}><option value="">All</option>${Object.keys(results).map((r) => html`<option value=${r}>${r}</option>`)}</select><//>`}
      ${field("from", "From", { type: "datetime-local" })}${field("to", "To", { type: "datetime-local" })}`}
  </form><//>`;
}

function Entry({ e }) {
  return html`<tr>
    <th scope="row"><a href=${lifeAddress(e.id)}>${when(e.accepted)}</a></th>
    <td data-label="TID" class="mono">${e.tid}</td>
    <td data-label="What">${e.type === "TABLE" ? html`stored table <b>${e.table}</b>` : e.type === "VISIT" ? html`table <b>${e.table}</b>${e.waiter && html` <span class="quiet">waiter ${e.waiter}</span>`}` : e.type || "–"}${e.kind === "report" && html` <span class="quiet">report</span>`}</td>
    <td data-label="Amount" class="num">${amount(e.amount, e.currency)}</td>
    <td data-label="State">${e.state}</td>
    <td data-label="True"><${True} e=${e} /></td>
    <td data-label="Told"><${Told} told=${e.told} /></td>
    ${filters.view.value === "unresolved" && html`<td data-label="Since">${e.doubt && html`${since(e.doubt.since)}: ${e.doubt.why}`}</td>`}
  </tr>`;
}

const Table = ({ entries, more }) => html`<table class="console-cards" id="entries">
  <thead><tr><th scope="col">Accepted</th><th scope="col">TID</th><th scope="col">What</th><th scope="col" class="num">Amount</th><th scope="col">State</th><th scope="col">True</th><th scope="col">Told</th>${filters.view.value === "unresolved" && html`<th scope="col">Since</th>`}</tr></thead>
  <tbody>${entries.map((e) => html`<${Entry} key=${e.id} e=${e} />`)}</tbody></table>
  ${more && html`<p class="toolbar"><span class="quiet">There are older ones.</span><${Button} id="older" onClick=${() => {
    // Times are cut to milliseconds here: rather one twice than one missed.
    const last = new Date(entries.at(-1).accepted), d = new Date(last.getTime() + 1);
    filter("to", new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 23), true);
  }}>Older<//></p>`}`;

const Outbox = ({ list }) => html`<table class="console-cards" id="outbox">
  <thead><tr><th scope="col">Since</th><th scope="col">Notice</th><th scope="col">TID</th><th scope="col">Table</th><th scope="col">Why it waits</th></tr></thead>
  <tbody>${list.map((w) => html`<tr key=${w.id + w.number}><th scope="row"><a href=${lifeAddress(w.id)}>${when(w.since)}</a></th><td data-label="Notice">${w.notice}</td><td data-label="TID" class="mono">${w.tid}</td><td data-label="Table">${w.table || "–"}</td><td data-label="Why it waits">${w.why}</td></tr>`)}</tbody></table>`;

function List() {
  useEffect(begin, []);
  const view = filters.view.value, data = list.value;
  const none = data && (Array.isArray(data) ? data : data.entries).length === 0;
  return html`<div class="stack">
    <h1>Transactions</h1>
    <nav class="tabs" aria-label="Which lists">${views.map(([v, t]) => html`<button type="button" id=${"view-" + (v || "all")} aria-current=${view === v ? "page" : undefined} onClick=${() => filter("view", v, true)}>${t}</button>`)}</nav>
    ${about[view] && html`<p class="quiet">${about[view]}</p>`}
    <${Filters} />
    ${refused.value && html`<${Notice} kind="bad">${refused.value}<//>`}
    ${none && html`<${Empty}>${view === "unresolved" ? "Of everything it is known what became of it." : view === "outbox" ? "The till has everything that it is owed." : view === "orphans" ? "There are none." : "Nothing was recorded that fits."}<//>`}
    ${data && !none && (Array.isArray(data) ? html`<${Outbox} list=${data} />` : html`<${Table} entries=${data.entries} more=${data.more} />`)}
  </div>`;
}

// ---- one life ----

function Resolve({ l }) {
  const visit = l.kind === "visit";
  const [taken, setTaken] = useState("");
  const [reason, setReason] = useState("");
  const [paid, setPaid] = useState("");
  const [gratuity, setGratuity] = useState("");
  const [authCode, setAuthCode] = useState("");
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const record = async (e) => {
    e.preventDefault();
    const money = (text) => text.trim() === "" ? 0 : minor(text);
    const what = { site: site(), id: l.id, taken: taken === "yes", reason };
    if (visit) Object.assign(what, { payment: l.doubt?.payment ?? "", ...(taken === "yes" ? { amount: money(paid), gratuity: money(gratuity), authCode } : {}) });
    if (!taken) return setFault("Say whether money was taken.");
    if (!reason.trim()) return setFault("Say how it is known, for who reads the record later.");
    if (what.amount === undefined && visit && taken === "yes" || what.gratuity === undefined && visit && taken === "yes") return setFault("An amount is written as 22.75.");
    setBusy(true);
    try {
      await act("resolve", what);
      setFault("");
    } catch (x) {
      setFault(x.message);
    }
    setBusy(false);
  };
  return html`<form class="panel stack" id="resolve" aria-labelledby="resolve-title" onSubmit=${record}>
    <h2 id="resolve-title">Say by hand what became of it</h2>
    <p class="quiet">Look at the terminal's own list, at the slip, or ask the acquirer; do not guess. ${visit ? html`It is about the payment <span class="mono">${l.doubt?.payment}</span> of ${money(l.doubt?.asked ?? 0, l.currency)}.` : ""} From then on the terminal is not asked any more; should it speak after all, its word counts.</p>
    <fieldset><legend>Was money taken?</legend>
      <p class="toolbar"><label><input type="radio" name="taken" id="taken-yes" value="yes" checked=${taken === "yes"} onChange=${() => setTaken("yes")} /> Yes, it was successful</label>
      <label><input type="radio" name="taken" id="taken-no" value="no" checked=${taken === "no"} onChange=${() => setTaken("no")} /> No, it was unsuccessful</label></p>
    </fieldset>
    ${visit && taken === "yes" && html`<div class="fields">
      <${Field} id="r-paid" label="Towards the bill" hint="Empty: what it was begun with"><input id="r-paid" inputmode="decimal" value=${paid} onInput=${(e) => setPaid(e.currentTarget.value)} /><//>
      <${Field} id="r-gratuity" label="Gratuity"><input id="r-gratuity" inputmode="decimal" value=${gratuity} onInput=${(e) => setGratuity(e.currentTarget.value)} /><//>
      <${Field} id="r-auth" label="Auth code" hint="As on its slip"><input id="r-auth" class="mono" maxlength="16" value=${authCode} onInput=${(e) => setAuthCode(e.currentTarget.value)} /><//>
    </div>`}
    <${Field} id="reason" label="How is that known?" fault=${fault}><input id="reason" maxlength="500" required value=${reason} onInput=${(e) => setReason(e.currentTarget.value)} /><//>
    <p><button class="button danger" id="record" disabled=${busy}>Record it</button></p>
  </form>`;
}

function Notices({ l }) {
  const [reason, setReason] = useState("");
  const [fault, setFault] = useState("");
  const [done, setDone] = useState("");
  const delivered = l.notices.some((n) => n.delivered);
  const resend = async (e) => {
    e.preventDefault();
    setDone("");
    if (!reason.trim()) return setFault("Say why, for who reads the record later.");
    try {
      const { count } = await act("resend", { site: site(), id: l.id, notice: 0, reason });
      setFault("");
      setReason("");
      setDone(count === 1 ? "1 notice is sent anew." : count + " notices are sent anew.");
    } catch (x) {
      setFault(x.message);
    }
  };
  return html`<section class="stack" aria-labelledby="notices-title"><h2 id="notices-title">What the till is owed</h2>
    <table class="console-cards" id="notices"><thead><tr><th scope="col">Notice</th><th scope="col">Number</th><th scope="col">Since</th><th scope="col">State</th></tr></thead>
    <tbody>${l.notices.map((n) => html`<tr key=${n.number}><th scope="row">${n.notice}</th><td data-label="Number">${n.number}</td><td data-label="Since">${when(n.since)}</td>
      <td data-label="State">${n.delivered ? html`<${Dot} kind="good">the till has it${n.resent ? ", sent anew" : ""}<//>` : html`<${Dot} kind="warn">${n.resent ? "sent anew, " : ""}${n.why}<//>`}</td></tr>`)}</tbody></table>
    ${delivered && html`<form class="panel stack" id="resend" onSubmit=${resend}>
      <p class="quiet">For a till that lost what it had: one that died before it booked, or came back from a backup. It knows payments that it has by their paymentId.</p>
      <${Field} id="resend-reason" label="Why is it to be sent anew?" fault=${fault}><input id="resend-reason" maxlength="500" value=${reason} onInput=${(e) => setReason(e.currentTarget.value)} /><//>
      <p class="toolbar"><button class="button" id="resend-do">Send anew what was delivered</button><span role="status">${done}</span></p>
    </form>`}
  </section>`;
}

const Payments = ({ l }) => html`<section class="stack" aria-labelledby="payments-title"><h2 id="payments-title">Payments</h2>
  <table class="console-cards" id="payments"><thead><tr><th scope="col">Payment</th><th scope="col">State</th><th scope="col" class="num">Towards the bill</th><th scope="col" class="num">Gratuity</th><th scope="col">Card</th><th scope="col">Auth code</th><th scope="col">Note</th></tr></thead>
  <tbody>${l.payments.map((p) => html`<tr key=${p.id}><th scope="row" class="mono">${p.id}</th><td data-label="State"><${Dot} kind=${{ taken: "good", open: "unsure" }[p.state] ?? "bad"}>${p.state}<//></td>
    <td data-label="Towards the bill" class="num">${p.state === "taken" ? money(p.paid, l.currency) : "–"}</td><td data-label="Gratuity" class="num">${p.state === "taken" ? money(p.gratuity, l.currency) : "–"}</td>
    <td data-label="Card">${p.card || "–"}</td><td data-label="Auth code" class="mono">${p.authCode || "–"}</td><td data-label="Note">${p.note || "–"}</td></tr>`)}</tbody></table></section>`;

function Timeline({ l }) {
  const [with_, setWith] = useState(true);
  const steps = l.steps.map((s) => ({ at: s.at, key: "s" + s.seq, step: s }));
  const said = with_ ? l.said.map((m) => ({ at: m.at, key: "m" + m.seq, message: m })) : [];
  const all = [...steps, ...said].sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0);
  const began = Date.parse(all[0]?.at ?? l.accepted);
  const after = (at) => {
    const ms = Date.parse(at) - began;
    return ms < 1000 ? ms + " ms" : (ms / 1000).toFixed(ms < 100000 ? 1 : 0) + " s";
  };
  return html`<section class="stack" aria-labelledby="timeline-title">
    <div class="toolbar"><h2 id="timeline-title" class="grow">Its life</h2>
      ${l.said.length > 0 ? html`<label><input type="checkbox" id="with-messages" checked=${with_} onChange=${(e) => setWith(e.currentTarget.checked)} /> with what was said</label>` : html`<span class="quiet">What was said then is not kept any more.</span>`}</div>
    <ol class="timeline" id="timeline">${all.map((x) => x.step
      ? html`<li key=${x.key} class="step"><time class="mono" title=${x.at}>${exact(x.at)}</time><span class="quiet num">+${after(x.at)}</span>
          <div><b>${x.step.text || x.step.kind}</b> <span class="quiet mono">${x.step.kind}</span><details><summary>record ${x.step.seq}</summary><pre>${JSON.stringify(x.step.body, null, 2)}</pre></details></div></li>`
      : html`<li key=${x.key} class="message"><time class="mono" title=${x.at}>${exact(x.at)}</time><span class="quiet num">+${after(x.at)}</span>
          <div><span aria-hidden="true">${x.message.from === "gateway" ? "←" : "→"}</span> <span class="vh">${x.message.from === "gateway" ? "gateway to till" : "till to gateway"}:</span><a href=${"/console/traffic?" + new URLSearchParams({ site: site(), tid: l.tid, message: x.message.seq })}>${x.message.method || x.message.kind}</a>${x.message.kind === "reply" ? " reply" : x.message.kind === "error" ? " error" : ""} <span class="quiet">${x.message.gist}</span></div></li>`)}</ol>
  </section>`;
}

function Life() {
  const [l, set] = useState();
  const [error, setError] = useState("");
  useEffect(() => watch("life", { site: site(), id }, (data) => { set(data); setError(""); }, setError), []);
  useEffect(() => { if (l) document.title = (l.type || l.kind) + " at " + l.tid + " · Tillwire console"; }, [l?.type]);
  const back = root + (setting.sites.length > 1 ? "?site=" + encodeURIComponent(site()) : "");
  if (error) return html`<div class="stack"><h1>Transaction</h1><${Notice} kind="bad">${error}. <a href=${back}>All that there are</a>.<//></div>`;
  if (!l) return html`<p class="quiet" role="status">Reading…</p>`;
  const main = l.facts.filter((f) => ["Told", "True", "By hand", "Conflict"].includes(f.name));
  const rest = l.facts.filter((f) => !main.includes(f));
  return html`<div class="stack">
    <p><a href=${back}>Transactions</a></p>
    <div class="toolbar"><h1>${l.type === "VISIT" || l.type === "TABLE" ? "Table " + l.table : l.type || kinds[l.kind]} ${l.currency && amount(l.amount, l.currency)}</h1>
      <${Badge}>${l.state}<//>${l.note && html`<${Badge} kind=${l.note === "conflict" ? "bad" : "warn"}>${notes[l.note] ?? l.note}<//>`}</div>
    <p class="quiet"><a class="mono" href=${"/console/terminals/" + encodeURIComponent(l.tid) + (site() === setting.sites[0] ? "" : "?site=" + encodeURIComponent(site()))}>${l.tid}</a> · <time dateTime=${l.accepted}>${moment(l.accepted)}</time> · <span class="mono">${l.id}</span></p>
    ${main.length > 0 && html`<div class="grid" id="words">${main.map((f) => html`<div class="panel"><h2 class="quiet fact-name">${f.name}</h2><p><${Dot} kind=${f.kind || ""}>${f.text}<//></p></div>`)}</div>`}
    ${l.doubt && html`<div class="note unsure" id="doubt">Nobody knows since ${moment(l.doubt.since)}: ${l.doubt.why}</div>`}
    <dl class="facts" id="facts">${rest.map((f) => html`<dt>${f.name}</dt><dd class=${f.kind ? f.kind + "-text" : ""}>${f.text}</dd>`)}</dl>
    ${l.resolvable && html`<${Resolve} l=${l} />`}
    ${l.payments && html`<${Payments} l=${l} />`}
    ${l.notices && html`<${Notices} l=${l} />`}
    <div class="life-split"><${Timeline} l=${l} />
      ${l.copies && html`<section class="stack" aria-labelledby="paper-title"><h2 id="paper-title">Paper</h2>${l.copies.map((c) => html`<figure key=${c.title}><figcaption class="quiet">${c.title}</figcaption><${Receipt} lines=${c.lines} label=${c.title} /></figure>`)}</section>`}</div>
  </div>`;
}

mount(id ? Life : List);
