// A Pay-At-Counter till. What it does with a result is the contract's section 7:
// only a SUCCESSFUL result clears the amount, TIMED_OUT and a lost line are doubt,
// and in doubt nothing is started again until it is known what the terminal did.
import { html, signal, batch, useEffect, useLayoutEffect, useRef, useState, useWatch, money, minor, now, say, setting, Button, Field, Notice, Receipt } from "./lib.js";
import { line, AskKey, Conversation, Connected } from "./till-line.js";

const methods = { sale: "Sale", refund: "Refund", preAuth: "Pre-authorisation", completion: "Completion", accountVerification: "Account verification" };
const reports = { reportXBalance: "X balance", reportZBalance: "Z balance", reportBanking: "Banking", reportEndOfDay: "End of day" };

const tid = signal(setting.dev ? "VCMDEMOSIP0" : ""), amount = signal(""), method = signal("sale");
const wanted = signal("reportXBalance"); // is only made once it is asked for: an end of day closes the session
const cashback = signal(""), authCode = signal(""), absent = signal(false);
const terminals = signal([]);
const running = signal(); // {id, method, tid, title, notices: [], cancelled}
const signature = signal(); // {id, params, until}
const outcome = signal(); // {kind: result | error | doubt | report | duplicate, …}
const held = new Map(); // tid → transactionId of the last Payment that this till has

const pending = new Map(); // id → {done, lost}
let number = 0;

// What runs is noted beside the page, so that a page that is loaded anew knows
// that it does not know.
const note = "tillwire.console.running";
const remember = (doubt) => { doubt ? sessionStorage.setItem(note, JSON.stringify(doubt)) : sessionStorage.removeItem(note); };
const left = JSON.parse(sessionStorage.getItem(note) ?? "null");
if (left) batch(() => {
  tid.value = left.tid;
  amount.value = left.amount;
  outcome.value = { kind: "doubt", ...left, why: "line" };
});

export const pac = line("pac", "", { opened: look, heard, ended: lost });

// NotSent is why a request certainly did not go out.
class NotSent extends Error {}

// request sends one and returns a promise of its response. Any other failure than
// NotSent leaves open what became of it.
function request(name, params) {
  number = number % 999999 + 1;
  const id = number;
  return new Promise((done, failed) => {
    pending.set(id, { done, lost: () => failed(new Error("line lost")) });
    if (!pac.send({ jsonrpc: "2.0", id, method: name, params })) {
      pending.delete(id);
      failed(new NotSent("not connected"));
    }
  });
}

function heard(m) {
  if (m.method === "terminalNotification") {
    const r = running.value;
    if (r && m.params.tid === r.tid) running.value = { ...r, notices: [...r.notices, { value: m.params.notificationValue, at: new Date() }] };
  } else if (m.method === "signatureVerificationRequest") {
    signature.value = { id: m.id, params: m.params, until: Date.now() + m.params.timeout * 1000 };
  } else if (pending.has(m.id)) {
    const p = pending.get(m.id);
    pending.delete(m.id);
    p.done(m);
  } else if (m.error) {
    say(said(m.error)); // about an answer of this till
  }
}

function lost() {
  const all = [...pending.values()];
  pending.clear();
  signature.value = undefined;
  for (const p of all) p.lost();
}

const said = (error) => error.userMessage || error.message;

async function look() {
  const r = await request("connectedTerminals").catch(() => ({}));
  if (r.result) terminals.value = r.result;
}

// currencyOf asks the gateway unless the list has said it.
async function currencyOf(name) {
  const known = terminals.value.find((t) => t.tid === name);
  if (known) return { currency: known.currency };
  const r = await request("terminalDetails", { tid: name });
  return r.error ? { error: r.error } : { currency: r.result.currency };
}

// start runs one transaction to its end.
async function start(name, base, more) {
  const at = tid.value.trim();
  let begun = false;
  outcome.value = undefined;
  try {
    const { currency, error } = await currencyOf(at);
    if (error) {
      outcome.value = { kind: "error", error };
      return;
    }
    running.value = { method: name, tid: at, title: `${methods[name]} ${money(base, currency)}`, notices: [], currency };
    begun = true;
    remember({ tid: at, before: held.get(at), amount: amount.value });
    told(await request(name, { tid: at, currency, amount: base, ...more }), at);
  } catch (e) {
    // Before it was sent nothing can have run; afterwards nobody here can know.
    if (e instanceof NotSent) remember();
    outcome.value = begun && !(e instanceof NotSent) ? { kind: "doubt", tid: at, why: "line", before: held.get(at) } : { kind: "error", error: { message: "There is no connection: connect, then try again." } };
  } finally {
    batch(() => { running.value = undefined; signature.value = undefined; });
  }
}

// told is what a till does with the answer to a transaction.
function told(m, at) {
  if (m.error) {
    remember();
    outcome.value = { kind: "error", error: m.error };
    return;
  }
  const p = m.result;
  if (p.transactionResult === "TIMED_OUT") {
    outcome.value = { kind: "doubt", tid: at, why: "time", before: held.get(at), payment: p };
    return;
  }
  remember();
  if (p.transactionId) held.set(at, p.transactionId);
  outcome.value = { kind: "result", payment: p };
  if (p.transactionResult === "SUCCESSFUL") batch(() => { amount.value = ""; cashback.value = ""; authCode.value = ""; });
}

function answerSignature(accepted) {
  const s = signature.value;
  signature.value = undefined;
  pac.send({ jsonrpc: "2.0", id: s.id, result: { accepted } });
}

async function cancel() {
  const r = running.value;
  running.value = { ...r, cancelled: "asked" };
  const m = await request("cancelTransaction", { tid: r.tid }).catch(() => ({}));
  if (m.error && running.value) running.value = { ...running.value, cancelled: said(m.error) };
}

async function duplicate() {
  const at = tid.value.trim();
  const m = await request("duplicate", { tid: at }).catch(() => undefined);
  if (!m) return;
  outcome.value = m.error ? { kind: "error", error: m.error } : { kind: "duplicate", payment: m.result };
}

async function report(name) {
  const at = tid.value.trim();
  running.value = { method: name, tid: at, title: reports[name], notices: [], report: true };
  try {
    const m = await request(name, { tid: at });
    outcome.value = m.error ? { kind: "error", error: m.error } : { kind: "report", report: m.result };
  } catch {
    outcome.value = { kind: "error", error: { message: "The line broke while the report was made. Look at the machine, and ask for it again." } };
  } finally {
    running.value = undefined;
  }
}

// check is the procedure of section 7 when it is not known what the terminal did.
async function check() {
  const d = outcome.value;
  const step = (state) => { if (outcome.value?.kind === "doubt") outcome.value = { ...outcome.value, ...state }; };
  step({ checking: true, answer: undefined });
  try {
    const details = await request("terminalDetails", { tid: d.tid });
    if (details.error) return step({ checking: false, answer: "away", said: said(details.error) });
    if (details.result.status !== "AVAILABLE") return step({ checking: false, answer: "busy" });
    const m = await request("duplicate", { tid: d.tid });
    if (m.error) return step({ checking: false, answer: "none", said: said(m.error) });
    const p = m.result;
    if (p.transactionResult === "TIMED_OUT") return step({ checking: false, answer: "unknown" });
    if (p.transactionId && p.transactionId === d.before) return step({ checking: false, answer: "older", payment: p });
    step({ checking: false, answer: "found", payment: p });
  } catch {
    step({ checking: false, answer: "offline" });
  }
}

// settle ends a doubt: by what the terminal says, or by what the operator saw.
function settle(ran, payment) {
  remember();
  if (payment?.transactionId) held.set(payment.tid, payment.transactionId);
  outcome.value = { kind: "settled", ran, payment };
  if (ran) amount.value = "";
}

// ---- what is drawn ----

const kinds = { SUCCESSFUL: "good", DECLINED: "bad", VOID: "warn", UNSUCCESSFUL: "warn", CANCELLED: "warn", TIMED_OUT: "unsure" };

const Slips = ({ receipts }) => html`<div class="machine-pile">
  ${receipts.MERCHANT?.length > 0 && html`<figure><figcaption>Merchant copy</figcaption><${Receipt} lines=${receipts.MERCHANT} label="Merchant copy" /></figure>`}
  ${receipts.CUSTOMER?.length > 0 && html`<figure><figcaption>Customer copy</figcaption><${Receipt} lines=${receipts.CUSTOMER} label="Customer copy" /></figure>`}
</div>`;

function Facts({ p }) {
  return html`<dl class="facts">
    <dt>Amount</dt><dd>${money(p.amountBase, p.currency)}</dd>
    ${p.amountCashback > 0 && html`<dt>Cashback</dt><dd>${money(p.amountCashback, p.currency)}</dd>`}
    ${p.amountGratuity > 0 && html`<dt>Gratuity</dt><dd>${money(p.amountGratuity, p.currency)}</dd>`}
    <dt>Total</dt><dd><b>${money(p.amountTotal, p.currency)}</b></dd>
    <dt>Card</dt><dd>${p.cardSchemeName} ${p.primaryAccountNumber} <span class="quiet">${p.paymentMethod} ${p.cardholderVerificationMethod}</span></dd>
    ${p.authCode && html`<dt>Auth code</dt><dd class="mono">${p.authCode}</dd>`}
    <dt>Transaction</dt><dd class="mono">${p.transactionType} ${p.transactionId} <span class="quiet">no. ${p.transactionNumber}</span></dd>
  </dl>`;
}

function Doubt({ o }) {
  const answers = {
    away: html`<p><b>The terminal is not available.</b> ${o.said}</p><ul><li>Is it idle, and has it power?</li><li>Are its cables in, and is it on line?</li><li>Does it stand in Standalone Mode?</li><li>Restart it, then check again. If that does not help, call support.</li></ul>`,
    busy: html`<p><b>The terminal is still busy.</b> Wait until it has finished, then check again.</p>`,
    unknown: html`<p><b>The gateway does not know yet either.</b> Look at the terminal: what does it show, what did it print?</p>`,
    older: html`<p><b>This transaction did not run.</b> The last one at the terminal is ${o.payment?.transactionId}, which this till had before. No money was taken.</p>`,
    found: o.payment && html`<p><b>The terminal says ${o.payment.transactionResult}.</b></p><${Facts} p=${o.payment} />`,
    none: html`<p>${o.said}</p>`,
    offline: html`<p><b>There is no connection.</b> Connect this till, then check.</p>`,
  };
  return html`<div class="note unsure stack" id="doubt">
    <h3>It is not known whether money was taken</h3>
    <p>${o.why === "time" ? "The terminal did not say in time how the transaction ended." : "The line to the gateway broke while the transaction ran. The terminal carries on without it."} The amount stays. Do not take the payment again before this is cleared up.</p>
    <div role="status">${o.checking ? html`<p>Asking …</p>` : answers[o.answer]}</div>
    <div class="toolbar">
      ${o.answer === "found" && html`<${Button} kind="first" id="settle-found" onClick=${() => settle(o.payment.transactionResult === "SUCCESSFUL", o.payment)}>Record that<//>`}
      ${o.answer === "older" && html`<${Button} kind="first" id="settle-older" onClick=${() => settle(false)}>Record that<//>`}
      <${Button} id="check" kind=${o.answer === undefined ? "first" : ""} disabled=${o.checking} onClick=${check}>Check the terminal<//>
      ${["unknown", "none", "away"].includes(o.answer) && html`<${Button} id="settle-paid" onClick=${() => settle(true)}>It shows approved<//><${Button} id="settle-unpaid" onClick=${() => settle(false)}>It shows that nothing was taken<//>`}
    </div>
  </div>`;
}

function Outcome({ words }) {
  const o = outcome.value;
  if (!o) return null;
  switch (o.kind) {
    case "error": return html`<div class="note bad" id="outcome" data-outcome="error"><h3>No transaction ran</h3><p>${said(o.error)}</p>${o.error.code && html`<p class="quiet"><code>${o.error.code}</code> ${o.error.message}</p>`}</div>`;
    case "doubt": return html`<${Doubt} o=${o} />`;
    case "settled": return html`<div class=${"note stack " + (o.ran ? "good" : "warn")} id="outcome" data-outcome="settled"><h3>${o.ran ? "Recorded as paid" : "Recorded as not paid"}</h3><p>${o.ran ? "The amount is cleared." : "No money was taken. The amount stays."}</p>${o.payment && html`<${Slips} receipts=${o.payment.receiptLines} />`}</div>`;
    case "report": return html`<div class="note stack" id="outcome" data-outcome=${o.report.reportResult}><h3>${o.report.reportType} ${o.report.reportResult}</h3><${Receipt} lines=${o.report.reportLines} label="Report" /></div>`;
    default: {
      const p = o.payment, yes = p.transactionResult === "SUCCESSFUL";
      return html`<div class=${"note stack " + kinds[p.transactionResult]} id="outcome" data-outcome=${p.transactionResult}>
        <h3>${o.kind === "duplicate" && "The last transaction: "}${p.transactionResult}</h3>
        <p>${words?.results[p.transactionResult]}. ${o.kind === "duplicate" ? "" : yes ? "The amount is cleared." : "No money was taken. The amount stays."}</p>
        <${Facts} p=${p} /><${Slips} receipts=${p.receiptLines} /></div>`;
    }
  }
}

function Signature() {
  const s = signature.value;
  if (!s) return null;
  const left = Math.max(0, Math.ceil((s.until - now.value) / 1000));
  return html`<section class="note warn stack" id="signature" aria-labelledby="signature-ask">
    <h3 id="signature-ask" role="alert">Does the signature match the card?</h3>
    <p class="quiet">${left > 0 ? `Without an answer it counts as accepted in ${left} s.` : "The time for an answer is over."}</p>
    <div class="toolbar"><${Button} kind="first" id="accept" onClick=${() => answerSignature(true)}>Accept<//><${Button} kind="danger" id="reject" onClick=${() => answerSignature(false)}>Reject<//></div>
    <${Receipt} lines=${s.params.receiptLines.MERCHANT} label="Merchant copy to be signed" />
  </section>`;
}

function Running({ words }) {
  const r = running.value;
  if (!r) return null;
  return html`<section class="panel stack" id="running" aria-labelledby="running-title">
    <div class="toolbar"><h3 id="running-title" class="grow">${r.title}</h3>${!r.report && html`<${Button} kind="danger" id="cancel" onClick=${cancel}>Cancel<//>`}</div>
    ${r.cancelled && html`<p class="warn-text">${r.cancelled === "asked" ? "A cancel was asked for. The result alone says what came of it." : r.cancelled}</p>`}
    <ol class="till-notices" aria-live="polite">${r.notices.map((n, i) => html`<li key=${i}><code>${n.value}</code><span class="quiet">${words?.notifications[n.value]}</span></li>`)}</ol>
    ${r.report && html`<p class="quiet">The terminal makes the report.</p>`}
  </section>`;
}

function Form() {
  const [fault, setFault] = useState("");
  const open = pac.state.value === "open", busy = !!running.value, doubt = outcome.value?.kind === "doubt";
  const known = terminals.value.find((t) => t.tid === tid.value.trim());
  const base = minor(amount.value), verify = method.value === "accountVerification";
  const submit = (e) => {
    e.preventDefault();
    const back = cashback.value ? minor(cashback.value) : 0;
    if (!tid.value.trim()) return setFault("Choose a terminal.");
    if (!verify && !base) return setFault("The amount is pounds and pence, as in 12.50.");
    if (back === undefined) return setFault("The cashback is pounds and pence, as in 20.00.");
    if (method.value === "completion" && !authCode.value.trim()) return setFault("A completion needs the auth code of the pre-authorisation.");
    setFault("");
    const more = {};
    if (method.value === "sale" && back) more.amountCashback = back;
    if ((method.value === "sale" || method.value === "refund") && absent.value) more.cardholderNotPresent = true;
    if (method.value === "completion") more.authCode = authCode.value.trim();
    start(method.value, verify ? 0 : base, more);
  };
  return html`<form class="panel stack" onSubmit=${submit} noValidate aria-label="Transaction">
    <div class="fields">
      <${Field} id="tid" label="Terminal" hint=${known ? `${known.currency}, ${known.status.toLowerCase()}` : terminals.value.length ? "Any name of a terminal of the site" : undefined}>
        <input id="tid" list="tids" autocomplete="off" spellcheck=${false} value=${tid.value} onInput=${(e) => { tid.value = e.currentTarget.value; }} onFocus=${look} /><//>
      <datalist id="tids">${terminals.value.map((t) => html`<option value=${t.tid}>${t.currency} ${t.status}</option>`)}</datalist>
      <${Field} id="method" label="Type"><select id="method" value=${method.value} onChange=${(e) => { method.value = e.currentTarget.value; }}>
        ${Object.entries(methods).map(([k, v]) => html`<option value=${k}>${v}</option>`)}</select><//>
      ${!verify && html`<${Field} id="amount" label="Amount" fault=${fault}><input id="amount" class="till-amount" inputmode="decimal" autocomplete="off" placeholder="0.00" value=${amount.value} aria-invalid=${fault ? "true" : undefined} onInput=${(e) => { amount.value = e.currentTarget.value; }} /><//>`}
      ${method.value === "sale" && html`<${Field} id="cashback" label="Cashback"><input id="cashback" inputmode="decimal" autocomplete="off" placeholder="none" value=${cashback.value} onInput=${(e) => { cashback.value = e.currentTarget.value; }} /><//>`}
      ${method.value === "completion" && html`<${Field} id="auth-code" label="Auth code of the pre-authorisation"><input id="auth-code" autocomplete="off" value=${authCode.value} onInput=${(e) => { authCode.value = e.currentTarget.value; }} /><//>`}
    </div>
    ${(method.value === "sale" || method.value === "refund") && html`<label class="till-check"><input type="checkbox" checked=${absent.value} onChange=${(e) => { absent.value = e.currentTarget.checked; }} /> The cardholder is not present</label>`}
    <div class="toolbar">
      <button class="button first" id="start" disabled=${!open || busy || doubt}>${methods[method.value]}${base && !verify ? " " + money(base, known?.currency ?? "GBP") : ""}</button>
      <${Button} id="duplicate" disabled=${!open || busy || doubt} onClick=${duplicate}>Duplicate<//>
      <span class="grow"></span>
      <label for="report" class="vh">Kind of report</label>
      <select id="report" disabled=${!open || busy || doubt} value=${wanted.value} onChange=${(e) => { wanted.value = e.currentTarget.value; }}>
        ${Object.entries(reports).map(([k, v]) => html`<option value=${k}>${v}</option>`)}</select>
      <${Button} id="make-report" disabled=${!open || busy || doubt} onClick=${() => report(wanted.value)}>Report<//>
    </div>
  </form>`;
}

export function Counter() {
  const [words] = useWatch("words", {});
  const place = useRef();
  // What a cashier has to look at comes into view, as it appears and not later:
  // nothing moves away under a finger.
  useLayoutEffect(() => { place.current.scrollIntoView({ block: "nearest" }); }, [!!running.value, signature.value?.id, outcome.value?.kind]);
  useEffect(() => { if (setting.dev && pac.state.value === "closed") pac.open(); }, []);
  return html`<div class="till-page">
    <div class="stack">
      <${AskKey} face="pac" />
      <${Connected} of=${pac} face="pac" onOpen=${() => pac.open()} />
      <${Form} />
      <div class="stack till-now" ref=${place}><${Signature} /><${Running} words=${words} /><${Outcome} words=${words} /></div>
    </div>
    <${Conversation} of=${pac} id="talk-pac" />
  </div>`;
}
