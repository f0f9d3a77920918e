// What the pages share: Preact, signals, the live socket, and the parts that
// more than one page draws with. The package comment of site/console has the
// rules.
import { h, render, Fragment } from "./preact.mjs";
import { useEffect, useRef, useState, useMemo, useLayoutEffect, useId } from "./hooks.mjs";
import { signal, computed, effect, batch, useSignal, useComputed } from "./signals.mjs";
import htm from "./htm.mjs";

export const html = htm.bind(h);
export { h, render, Fragment, useEffect, useRef, useState, useMemo, useLayoutEffect, useId, signal, computed, effect, batch, useSignal, useComputed };

// setting is what the server tells this page: {token, sites, hands, dev, virtual}.
export const setting = JSON.parse(document.body.dataset.setting);

// mount draws the page's component into its main.
export function mount(component) {
  const main = document.getElementById("page");
  main.replaceChildren();
  render(h(component), main);
}

// ---- the live socket ----

// online is "connecting", "live", "lost", or "over" once nobody is logged in.
export const online = signal("connecting");

const open = new Map(); // n → {message, told, failed} of each watch
const asked = new Map(); // n → {done, failed} of each deed
let socket, number = 0, tries = 0, ready = false;

function send(message) {
  if (ready) socket.send(JSON.stringify(message));
}

function connect() {
  socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/console/live");
  socket.onopen = () => socket.send(JSON.stringify({ hello: setting.token }));
  socket.onmessage = (e) => {
    const { as, data, error } = JSON.parse(e.data);
    if (as === 0) {
      ready = true;
      tries = 0;
      for (const [n, w] of open) send({ ...w.message, as: n });
      online.value = "live";
      return;
    }
    const w = open.get(as), d = asked.get(as);
    if (w) error === undefined ? w.told(data) : w.failed(error);
    else if (d) {
      asked.delete(as);
      error === undefined ? d.done(data) : d.failed(new Error(error));
    }
  };
  socket.onclose = async (e) => {
    ready = false;
    online.value = "lost";
    for (const d of asked.values()) d.failed(new Error("The line to the gateway broke; it is not known whether this was done."));
    asked.clear();
    await new Promise((done) => setTimeout(done, Math.min(250 * 2 ** tries++, 5000)));
    if (e.code !== refused || await renew()) connect();
  };
}

// refused is the code of a close that a new token may help against.
const refused = 1008;

// renew fetches the token anew, as a gateway that was started again has another,
// and reports whether there is one: a session can be over.
async function renew() {
  const page = await fetch("/console/").catch(() => undefined);
  if (!page?.ok) return true; // the gateway is away: it is dialled again
  const told = new DOMParser().parseFromString(await page.text(), "text/html").body.dataset.setting;
  if (told) setting.token = JSON.parse(told).token;
  else online.value = "over";
  return !!told;
}
connect();

// watch has told(data) called with what a topic shows, now, whenever it has
// changed, and anew after the line was lost. It returns what ends it.
export function watch(topic, what, told, failed = () => {}) {
  const as = ++number, message = { watch: topic, ...what };
  open.set(as, { message, told, failed });
  send({ ...message, as });
  return () => {
    open.delete(as);
    send({ unwatch: as });
  };
}

// useWatch is watch for as long as a component is shown: [data, error], both
// undefined until something has come.
export function useWatch(topic, what) {
  const [state, set] = useState([]);
  useEffect(() => {
    set([]);
    return watch(topic, what, (data) => set([data]), (error) => set([undefined, error]));
  }, [topic, JSON.stringify(what)]);
  return state;
}

// act does a deed and returns a promise of its answer. Deeds of a page are done in
// the order in which they were asked for.
export function act(deed, what = {}) {
  const as = ++number;
  return new Promise((done, failed) => {
    if (!ready) throw new Error("There is no line to the gateway now.");
    asked.set(as, { done, failed });
    send({ do: deed, as, ...what });
  });
}

// tried is act for a button: what is refused is shown at the top, and that is all.
export const tried = (deed, what) => act(deed, what).catch((e) => say(e.message));

// said is the last thing that people should know, for a while.
export const said = signal("");
let hush;

// say shows a text at the top of the page for a while.
export function say(text) {
  said.value = text;
  clearTimeout(hush);
  hush = setTimeout(() => { said.value = ""; }, 8000);
}

const line = document.getElementById("line");
effect(() => {
  const state = { connecting: "connecting", live: "live", lost: "line lost, dialling again", over: "logged out" }[online.value];
  line.dataset.state = online.value;
  line.textContent = said.value || state;
  line.classList.toggle("said", said.value !== "");
});

// ---- money, without floats ----

const signs = { GBP: "£", EUR: "€" };

// money writes whole minor units as people read them: money(1250, "GBP") is £12.50.
export function money(minor, currency = "") {
  const n = BigInt(minor ?? 0), digits = (n < 0n ? -n : n).toString().padStart(3, "0");
  return (n < 0n ? "−" : "") + (signs[currency] ?? (currency && currency + " ")) + digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",") + "." + digits.slice(-2);
}

// minor reads an amount as people type it, 12.50 or 12, into whole minor units,
// or returns undefined. It never passes through a fraction.
export function minor(text) {
  const m = /^\s*[£€]?\s*(\d{1,6})(?:[.,](\d{2}))?\s*$/.exec(text);
  return m ? parseInt(m[1] + (m[2] ?? "00"), 10) : undefined;
}

// ---- parts ----

// Badge is a word with a meaning: good, warn, bad, unsure, news or none.
export const Badge = ({ kind = "", children }) => html`<span class=${"badge " + kind}>${children}</span>`;

// Dot is a state before its word.
export const Dot = ({ kind = "", children }) => html`<span><span class=${"dot " + kind} aria-hidden="true"></span>${children}</span>`;

// Empty says why there is nothing.
export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

// Notice is a remark beside the work; kind as for Badge.
export const Notice = ({ kind = "", children }) => html`<div class=${"note " + kind}>${children}</div>`;

// Field is a label, a control with that id, and maybe a hint or a fault.
export function Field({ id, label, hint, fault, children }) {
  return html`<div class="field"><label for=${id}>${label}</label>${children}
    ${hint && html`<span class="hint" id=${id + "-hint"}>${hint}</span>`}
    ${fault && html`<span class="fault" role="alert">${fault}</span>`}</div>`;
}

// Fold hides what it has where there is little room, unless some of it is set.
export function Fold({ label, set, children }) {
  const box = useRef();
  useLayoutEffect(() => {
    const room = matchMedia("(min-width: 40rem)"), fit = () => { box.current.open = room.matches || set > 0; };
    fit();
    room.addEventListener("change", fit);
    return () => room.removeEventListener("change", fit);
  }, []);
  return html`<details class="fold" ref=${box}><summary>${label}${set > 0 && `, ${set} set`}</summary>${children}</details>`;
}

// Button is a button that does not send a form.
export const Button = ({ kind = "", children, ...rest }) => html`<button type="button" class=${"button " + kind} ...${rest}>${children}</button>`;

// now ticks each second while somebody looks at it.
export const now = signal(Date.now());
setInterval(() => { if (!document.hidden) now.value = Date.now(); }, 1000);

// since says how long ago a time was, in few words.
export function since(time) {
  const s = Math.max(0, Math.round((now.value - Date.parse(time)) / 1000));
  if (s < 5) return "now";
  if (s < 60) return s + " s ago";
  if (s < 3600) return Math.floor(s / 60) + " min ago";
  if (s < 86400) return Math.floor(s / 3600) + " h ago";
  return Math.floor(s / 86400) + " days ago";
}

// moment is a day and a time of it, with the hours as everywhere here.
export const moment = (time) => new Date(time).toLocaleString([], { hour12: false });

// Clock shows a time as people of this machine read it, and how long ago it was.
export function Clock({ time, ago }) {
  if (!time) return html`<span class="quiet">never</span>`;
  const d = new Date(time);
  return html`<time dateTime=${time} title=${moment(time)}>${ago ? since(time) : d.toLocaleTimeString([], { hour12: false })}</time>`;
}

// ---- receipts as on paper ----

const classes = { BOLD: "bold", DOUBLE_HEIGHT: "tall", DOUBLE_WIDTH: "wide" };

// Line39 and the others draw bars whose widths come from the text. They look
// like a printer's; a scanner is not meant.
function Bars({ value }) {
  const parts = [];
  let x = 0;
  for (const c of "*" + value + "*") {
    const code = c.codePointAt(0);
    for (let bit = 0; bit < 5; bit++) {
      const w = (code >> bit) & 1 ? 2 : 1;
      parts.push(html`<rect x=${x} y="0" width=${w} height="26" />`);
      x += w + 1 + ((code >> (bit + 2)) & 1);
    }
    x += 1;
  }
  return html`<svg class="receipt-bars" viewBox=${`0 0 ${Math.max(x, 1)} 26`} preserveAspectRatio="none" role="img" aria-label=${"Barcode " + value}>${parts}</svg>`;
}

// ReceiptLine is one line of the contract's section 8.
function ReceiptLine({ line }) {
  const format = (line.format ?? []).map((f) => classes[f] ?? "").join(" ");
  switch (line.type) {
    case "LINE_SEPARATOR_SINGLE": return html`<p class="rule"></p>`;
    case "LINE_SEPARATOR_DOUBLE": return html`<p class="rule2"></p>`;
    case "TICKET_FEED": return html`<p class="feed"></p>`;
    case "CARRIAGE_RETURN": return html`<p></p>`;
    case "BOX_DECLINE": return html`<p class="box">${line.value || "DECLINED"}</p>`;
    case "BOX_VOID": return html`<p class="box">${line.value || "VOID"}</p>`;
    case "IMAGE_LOGO": return html`<p class="code"><svg class="receipt-logo" viewBox="0 0 64 24" role="img" aria-label="Logo"><rect x="1" y="1" width="62" height="22" rx="11" /><path d="M14 12h36M20 7v10M32 5v14M44 7v10" /></svg></p>`;
    case "BARCODE_CODE25": case "BARCODE_CODE39": case "BARCODE_CODE128":
      return html`<p class="code"><${Bars} value=${line.value} />${line.value}</p>`;
    default: return html`<p class=${format}>${line.value}</p>`;
  }
}

// Receipt is a slip of paper. label says whose copy it is; a still one is only a
// picture of one that is shown elsewhere. instead has what is drawn in place of lines,
// by their numbers.
export function Receipt({ lines, label, still, instead }) {
  return html`<div class="receipt" role=${still ? undefined : "group"} aria-label=${label}>${(lines ?? []).map((line, i) => instead?.[i] ?? html`<${ReceiptLine} line=${line} />`)}</div>`;
}
