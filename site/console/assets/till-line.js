// A till's connection: the public WebSocket, with what went over it kept to be
// shown. Nothing here is known to the gateway that any other till could not send.
import { html, signal, useEffect, useRef, setting, Button, Field, Notice } from "./lib.js";

// key is the site's API key. It lives in this variable and nowhere else.
export const key = signal(setting.dev ? "demo" : "");

const partner = "&api-version=v1&software-house-id=CONSOLE&installer-id=CONSOLE";
const kept = 300; // messages

// line makes a connection to face, pac or pat. It calls opened() once it is there,
// heard(message) with each message, ended() when it is over.
export function line(face, query, { opened = () => {}, heard, ended = () => {} }) {
  const state = signal("closed"), log = signal([]);
  let socket, count = 0;
  const note = (out, text) => { log.value = [...log.value.slice(1 - kept), { n: ++count, at: new Date(), out, text }]; };
  const l = {
    state, log,
    open() {
      if (socket) return;
      state.value = "opening";
      const s = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/${face}?token=${encodeURIComponent(key.value)}${partner}${query}`);
      let was = false;
      s.onopen = () => {
        was = true;
        state.value = "open";
        opened();
      };
      s.onmessage = (e) => {
        note(false, e.data);
        heard(JSON.parse(e.data));
      };
      s.onclose = () => {
        if (socket === s) socket = undefined;
        state.value = was ? "closed" : "refused";
        ended();
      };
    },
    close() { socket?.close(1000); },
    // send reports whether the message went out.
    send(message) {
      if (state.value !== "open") return false;
      const text = JSON.stringify(message);
      note(true, text);
      socket.send(text);
      return true;
    },
  };
  return l;
}

// AskKey asks for the site's key where nobody knows it.
export function AskKey({ face }) {
  if (setting.dev) return null;
  return html`<${Field} id=${"key-" + face} label="API key of the site" hint="It stays in this page's memory and is forgotten with it.">
    <input id=${"key-" + face} type="password" autocomplete="off" value=${key.value} onInput=${(e) => { key.value = e.currentTarget.value; }} /><//>`;
}

// ---- the conversation ----

// marked writes JSON with its parts in the elements of .json.
function marked(text) {
  let pretty;
  try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  const out = [], token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b/g;
  let at = 0;
  for (const m of pretty.matchAll(token)) {
    if (m.index > at) out.push(pretty.slice(at, m.index));
    if (m[1]) out.push(m[2] ? html`<b>${m[1]}</b>` : html`<i>${m[1]}</i>`, m[2] ?? "");
    else if (m[3]) out.push(html`<u>${m[3]}</u>`);
    else out.push(html`<s>${m[4]}</s>`);
    at = m.index + m[0].length;
  }
  out.push(pretty.slice(at));
  return out;
}

// gist is what a message is about, in a line.
function gist(text) {
  const m = JSON.parse(text);
  if (m.method) return m.method + (m.params?.notificationValue ? " " + m.params.notificationValue : "");
  if (m.error) return "error " + m.error.code;
  const r = m.result;
  return "result" + (r?.transactionResult ? " " + r.transactionResult : r?.reportResult ? " " + r.reportResult : Array.isArray(r) ? ` (${r.length})` : "");
}

// Conversation shows what went over a line, newest below.
export function Conversation({ of, id }) {
  const list = useRef();
  useEffect(() => { list.current.scrollTop = list.current.scrollHeight; }, [of.log.value]);
  return html`<section class="panel till-talk" aria-labelledby=${id}>
    <div class="bar"><h2 id=${id} class="grow">Conversation</h2><${Button} kind="quiet small" onClick=${() => { of.log.value = []; }}>Clear<//></div>
    <div class="till-talk-list" ref=${list} role="log" aria-labelledby=${id} tabindex="0">
      ${of.log.value.length === 0 && html`<p class="quiet">What this till and the gateway say to each other appears here, as it goes over the socket.</p>`}
      ${of.log.value.map((m) => { const j = JSON.parse(m.text); return html`<details key=${m.n} class=${m.out ? "out" : "in"}>
        <summary><span class="till-talk-way">${m.out ? "→" : "←"}<span class="vh">${m.out ? "sent" : "received"}</span></span><code>${gist(m.text)}</code>${j.id !== undefined && html`<span class="quiet"> id ${j.id}</span>`}<time class="quiet">${m.at.toLocaleTimeString([], { hour12: false })}</time></summary>
        <pre class="json">${marked(m.text)}</pre></details>`; })}
    </div>
  </section>`;
}

// Connected says how a line is, with what can be done about it.
export function Connected({ of, face, onOpen }) {
  const text = { closed: "not connected", opening: "connecting", open: "connected", refused: "refused" }[of.state.value];
  return html`<div class="toolbar">
    <span class="quiet" role="status" data-face=${face}><span class=${"dot " + (of.state.value === "open" ? "good" : of.state.value === "refused" ? "bad" : "")} aria-hidden="true"></span><code>/${face}</code> ${text}</span>
    ${of.state.value === "open" ? html`<${Button} kind="small" onClick=${() => of.close()}>Disconnect<//>` : html`<${Button} kind="small first" id=${"open-" + face} disabled=${of.state.value === "opening" || !key.value} onClick=${onOpen}>Connect<//>`}
  </div>
  ${of.state.value === "refused" && html`<${Notice} kind="bad">The gateway did not let this till in. Is the key right, and is it for <code>${face}</code>?<//>`}`;
}
