// The list of terminals.
import { html, mount, signal, useWatch, setting, Badge, Dot, Empty, Button, Field, Clock, Notice } from "./lib.js";

const parts = ["result", "card", "cardholder", "machine"];
const chosen = ["S", "I", "P", "0"].map((letter) => signal(letter));

// address is where a terminal has its page.
const address = (t) => "/console/terminals/" + encodeURIComponent(t.tid) + (t.site === setting.sites[0] ? "" : "?site=" + encodeURIComponent(t.site));

function Standing({ t }) {
  if (!t.connected) return html`<${Dot} kind="bad">Not connected<//>`;
  return t.busy ? html`<${Dot} kind="warn">Busy<//>` : html`<${Dot} kind="good">Available<//>`;
}

function Row({ t }) {
  return html`<tr>
    <th scope="row"><a class="mono" href=${address(t)}>${t.tid}</a>${t.means && html`<small class="quiet">${t.means}</small>`}</th>
    <td data-label="Status"><${Standing} t=${t} /></td>
    <td data-label="Doing">${t.doing || html`<span class="quiet">–</span>`}</td>
    <td data-label="Last seen"><${Clock} time=${t.lastSeen} ago /></td>
    <td data-label="Machine">${t.currency} <span class="quiet">${t.model} ${t.software}</span> ${t.enrolled && html`<${Badge} kind="news">remote<//>`}</td>
    ${setting.sites.length > 1 && html`<td data-label="Site">${t.site}</td>`}
  </tr>`;
}

// Summon puts a name together. Whatever can be chosen is a legal name.
function Summon() {
  const [v] = useWatch("names", {});
  if (!v) return null;
  const name = v.prefix + "DEMO" + chosen.map((c) => c.value).join("");
  return html`<section class="panel stack" aria-labelledby="summon">
    <h2 id="summon">Another machine</h2>
    <p class="quiet">A virtual machine exists once somebody asks for it. Its name says what it does when nobody touches it.</p>
    <div class="fields">
      ${parts.map((p, i) => html`<${Field} id=${"summon-" + p} label=${{ result: "Result", card: "Card", cardholder: "Cardholder", machine: "Machine" }[p]}>
        <select id=${"summon-" + p} value=${chosen[i].value} onChange=${(e) => { chosen[i].value = e.currentTarget.value; }}>
          ${v.parts[i].map((o) => html`<option value=${o.letter}>${o.letter} – ${o.meaning.replace(/\.$/, "")}</option>`)}
        </select><//>`)}
    </div>
    <p class="toolbar"><${Button} kind="first" id="summon-open" onClick=${() => { location.href = "/console/terminals/" + name; }}>Open <span class="mono">${name}</span><//></p>
  </section>`;
}

function Terminals() {
  const [list, error] = useWatch("terminals", {});
  return html`<div class="stack">
    <h1>Terminals</h1>
    ${error && html`<${Notice} kind="bad">${error}<//>`}
    ${list && list.length === 0 && html`<${Empty}>No terminal is known here. One that dials in needs a key: <code>tillwire terminals enrol</code>.<//>`}
    ${list && list.length > 0 && html`<table class="console-cards" id="terminals">
      <thead><tr><th scope="col">Terminal</th><th scope="col">Status</th><th scope="col">Doing</th><th scope="col">Last seen</th><th scope="col">Machine</th>${setting.sites.length > 1 && html`<th scope="col">Site</th>`}</tr></thead>
      <tbody>${list.map((t) => html`<${Row} key=${t.site + " " + t.tid} t=${t} />`)}</tbody>
    </table>`}
    ${setting.dev && setting.sites.includes("demo") && html`<${Summon} />`}
  </div>`;
}

mount(Terminals);
