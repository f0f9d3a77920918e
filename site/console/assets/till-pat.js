// A Pay-At-Table till: it keeps tables and answers what terminals ask. Payments
// are booked once each by their paymentId, whatever is sent again. The tables are
// kept beside the page, so that loading it anew loses no booking.
import { html, signal, effect, useState, money, minor, setting, Badge, Button, Empty, Field, Notice, Receipt } from "./lib.js";
import { line, AskKey, Conversation, Connected } from "./till-line.js";

const place = "tillwire.console.tables";
const first = {
  currency: "GBP", again: 0, reports: [],
  tables: [
    { id: "12", items: [["Soup of the day", 1250], ["Fish and chips", 2100], ["Two coffees", 1200]], lock: null, bookings: [] },
    { id: "14", items: [["Sunday roast", 1895], ["Crumble", 750]], lock: null, bookings: [] },
    { id: "Bar 2", items: [["Three pints", 1650]], lock: null, bookings: [] },
  ],
};
const book = signal(JSON.parse(sessionStorage.getItem(place) ?? "null") ?? first);
effect(() => sessionStorage.setItem(place, JSON.stringify(book.value)));

const options = signal({ final: true, refuse: false, silent: false });
const discontinued = signal(false);

const total = (t) => t.items.reduce((sum, [, price]) => sum + price, 0);
const paid = (t) => t.bookings.reduce((sum, b) => sum + b.amountPaid, 0);
const due = (t) => total(t) - paid(t);

// change replaces one table.
function change(id, how) {
  book.value = { ...book.value, tables: book.value.tables.map((t) => t.id === id ? { ...t, ...how(t) } : t) };
}

export let pat = make();
function make() {
  return line("pat", options.value.final ? "&final-pos-receipt-request" : "", { heard });
}

const text = (value, ...format) => ({ type: "TEXT", format, value });
const pair = (label, value, ...format) => text(label.slice(0, 22).padEnd(32 - value.length) + value, ...format);
const mark = (type, value = "") => ({ type, format: [], value });
const plain = (n) => money(n);

function bill(t) {
  return [mark("IMAGE_LOGO"), text("TABLE " + t.id, "BOLD"), mark("LINE_SEPARATOR_SINGLE"),
    ...t.items.map(([name, price]) => pair(name, plain(price))), mark("LINE_SEPARATOR_DOUBLE"),
    ...(paid(t) ? [pair("Paid", plain(paid(t)))] : []), pair("TO PAY", plain(due(t)), "BOLD"),
    mark("CARRIAGE_RETURN"), mark("BARCODE_CODE39", "T" + t.id.toUpperCase().replace(/[^0-9A-Z. -]/g, "")), mark("TICKET_FEED")];
}

function final(t) {
  return [text("TABLE " + t.id, "BOLD"), pair("PAID", plain(paid(t)), "BOLD"), ...(due(t) > 0 ? [pair("STILL OPEN", plain(due(t)))] : [text("Thank you and goodbye")]), mark("TICKET_FEED")];
}

// answers are what the till says to each request; a text is an error.
const answers = {
  tableListRequest: () => ({ tableIds: book.value.tables.filter((t) => due(t) > 0 && !t.lock).map((t) => t.id), currency: book.value.currency }),
  tableLockRequest({ tableId, tid, waiterId }) {
    const t = book.value.tables.find((t) => t.id === tableId);
    if (!t || options.value.refuse || due(t) <= 0 || (t.lock && t.lock.tid !== tid)) return { confirmed: false };
    change(tableId, () => ({ lock: { tid, waiterId, at: new Date().toISOString() } }));
    return { confirmed: true, amount: due(t), currency: book.value.currency };
  },
  posReceiptRequest: ({ tableId }) => receipt(tableId, bill),
  finalPOSReceiptRequest: ({ tableId }) => receipt(tableId, final),
};

function receipt(id, of) {
  const t = book.value.tables.find((t) => t.id === id);
  return t ? { receiptLines: of(t) } : "There is no table " + id;
}

// notices are what it is told.
const notices = {
  transactionResponse({ tableId, waiterId, tid, currency, payments }) {
    const known = new Set(book.value.tables.flatMap((t) => t.bookings.map((b) => b.paymentId)));
    const fresh = payments.filter((p) => !known.has(p.paymentId) && known.add(p.paymentId));
    book.value = { ...book.value, again: book.value.again + payments.length - fresh.length };
    if (!book.value.tables.some((t) => t.id === tableId)) { // money for a table that was closed here is money all the same
      book.value = { ...book.value, tables: [...book.value.tables, { id: tableId, items: [], lock: null, bookings: [] }] };
    }
    change(tableId, (t) => ({ bookings: [...t.bookings, ...fresh.map((p) => ({ paymentId: p.paymentId, amountPaid: p.amountPaid, amountGratuity: p.amountGratuity, amountCashback: p.amountCashback, cardSchemeName: p.cardSchemeName, authCode: p.authCode, time: p.time, currency, tid, waiterId }))] }));
  },
  tableUnlock: ({ tableId, tid }) => change(tableId, (t) => !t.lock || t.lock.tid === tid ? { lock: null } : {}),
  reportResponse(r) {
    const same = (o) => o.tid === r.tid && o.reportType === r.reportType && o.reportTime === r.reportTime;
    if (!book.value.reports.some(same)) book.value = { ...book.value, reports: [{ tid: r.tid, reportType: r.reportType, reportTime: r.reportTime, reportResult: r.reportResult, reportLines: r.reportLines }, ...book.value.reports].slice(0, 10) };
  },
};

function heard(m) {
  if (m.error) {
    if (m.error.code === -32076) discontinued.value = true;
    return;
  }
  if (Object.hasOwn(notices, m.method)) return notices[m.method](m.params);
  if (m.id === undefined || options.value.silent) return;
  const result = Object.hasOwn(answers, m.method) ? answers[m.method](m.params) : undefined;
  if (result === undefined) pat.send({ jsonrpc: "2.0", id: m.id, error: { code: -32601, message: "Method not found: " + m.method } });
  else if (typeof result === "string") pat.send({ jsonrpc: "2.0", id: m.id, error: { code: -32602, message: result, userMessage: result } });
  else pat.send({ jsonrpc: "2.0", id: m.id, result });
}

// ---- what is drawn ----

function Table({ t }) {
  const [name, setName] = useState(""), [price, setPrice] = useState(""), [fault, setFault] = useState("");
  const cur = book.value.currency, locked = !!t.lock, id = (s) => "table-" + encodeURIComponent(t.id) + "-" + s;
  const add = (e) => {
    e.preventDefault();
    const n = minor(price);
    if (!n) return setFault("A price is pounds and pence, as in 4.50.");
    setFault("");
    change(t.id, (t) => ({ items: [...t.items, [name.trim() || "Item", n]] }));
    setName("");
    setPrice("");
  };
  return html`<article class="panel stack till-table" data-table=${t.id} aria-labelledby=${id("name")}>
    <div class="bar"><h3 id=${id("name")} class="grow">${t.id}</h3>
      ${locked ? html`<${Badge} kind="warn">locked by ${t.lock.tid}${t.lock.waiterId && `, waiter ${t.lock.waiterId}`}<//>` : due(t) > 0 ? html`<${Badge}>open<//>` : html`<${Badge} kind="good">paid<//>`}</div>
    <table class="dense"><caption class="vh">Items of ${t.id}</caption><tbody>
      ${t.items.map(([what, n], i) => html`<tr key=${i}><td>${what}</td><td class="num">${money(n, cur)}</td>
        <td class="num"><${Button} kind="quiet small" disabled=${locked || due(t) < n} aria-label=${"Take away " + what} onClick=${() => change(t.id, (t) => ({ items: t.items.filter((_, j) => j !== i) }))}>×<//></td></tr>`)}
      ${t.bookings.map((b) => html`<tr key=${b.paymentId} class="till-booking"><td>${b.cardSchemeName} <span class="quiet mono" title=${b.paymentId}>${b.paymentId.slice(0, 8)}</span>${b.amountGratuity > 0 && html` <span class="quiet">tip ${money(b.amountGratuity, cur)}</span>`}</td><td class="num good-text">−${money(b.amountPaid, cur)}</td><td></td></tr>`)}
      <tr><th scope="row">To pay</th><td class="num"><b data-due=${due(t)}>${money(due(t), cur)}</b></td><td></td></tr>
    </tbody></table>
    ${!locked && html`<form class="till-add" onSubmit=${add} noValidate>
      <label class="vh" for=${id("item")}>Item for ${t.id}</label><input id=${id("item")} placeholder="Item" autocomplete="off" value=${name} onInput=${(e) => setName(e.currentTarget.value)} />
      <label class="vh" for=${id("price")}>Price of the item for ${t.id}</label><input id=${id("price")} placeholder="0.00" inputmode="decimal" autocomplete="off" value=${price} onInput=${(e) => setPrice(e.currentTarget.value)} />
      <button class="button small">Add</button></form>${fault && html`<span class="bad-text" role="alert">${fault}</span>`}`}
    <div class="toolbar">
      ${locked && html`<${Button} kind="small" onClick=${() => change(t.id, () => ({ lock: null }))}>Unlock here<//>`}
      ${!locked && html`<${Button} kind="small" disabled=${due(t) > 0 && paid(t) > 0} onClick=${() => { book.value = { ...book.value, tables: book.value.tables.filter((o) => o.id !== t.id) }; }}>Close the table<//>`}
    </div>
  </article>`;
}

function NewTable() {
  const [id, setID] = useState(""), [fault, setFault] = useState("");
  const add = (e) => {
    e.preventDefault();
    const name = id.trim();
    if (!name || [...name].length > 64) return setFault("A name has 1 to 64 characters.");
    if (book.value.tables.some((t) => t.id === name)) return setFault("There is a table of that name.");
    setFault("");
    book.value = { ...book.value, tables: [...book.value.tables, { id: name, items: [["Set menu", 2500]], lock: null, bookings: [] }] };
    setID("");
  };
  return html`<form class="toolbar" onSubmit=${add} noValidate><label for="new-table">New table</label><input id="new-table" autocomplete="off" value=${id} onInput=${(e) => setID(e.currentTarget.value)} /><button class="button" id="add-table">Add</button>${fault && html`<span class="bad-text" role="alert">${fault}</span>`}</form>`;
}

const Option = ({ name, children }) => html`<label class="till-check"><input type="checkbox" id=${"option-" + name} checked=${options.value[name]} onChange=${(e) => { options.value = { ...options.value, [name]: e.currentTarget.checked }; }} /> ${children}</label>`;

export const renewed = signal(0);

export function Tables() {
  renewed.value;
  const b = book.value;
  const open = () => {
    if (pat.state.value === "closed" || pat.state.value === "refused") {
      const log = pat.log.value;
      pat = make();
      pat.log.value = log;
      renewed.value++;
    }
    discontinued.value = false;
    pat.open();
  };
  return html`<div class="till-page">
    <div class="stack">
      <${AskKey} face="pat" />
      <${Connected} of=${pat} face="pat" onOpen=${open} />
      ${pat.state.value !== "open" && !discontinued.value && html`<p class="quiet">A site has one till that keeps its tables: the one that connected last. Connecting here takes over from another.</p>`}
      ${discontinued.value && html`<${Notice} kind="warn">Another till took over the tables of this site.<//>`}
      <div class="toolbar"><${Option} name="final">Asks for the final receipt (when it connects)<//><${Option} name="refuse">Refuse locks<//><${Option} name="silent">Answer nothing<//></div>
      <div class="till-tables">${b.tables.map((t) => html`<${Table} key=${t.id} t=${t} />`)}</div>
      ${b.tables.length === 0 && html`<${Empty}>No table is open.<//>`}
      <${NewTable} />
      <p class="quiet">Bookings are made once for each paymentId. Sent again and left out: <b id="again">${b.again}</b></p>
      ${b.reports.map((r) => html`<details key=${r.tid + r.reportType + r.reportTime} class="panel"><summary>${r.reportType} of ${r.tid}, ${r.reportTime} ${r.reportResult}</summary><${Receipt} lines=${r.reportLines} label="Report" /></details>`)}
    </div>
    <${Conversation} of=${pat} id="talk-pat" />
  </div>`;
}
