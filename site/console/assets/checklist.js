// The integration checklist, as far as each till has come by itself.
import { html, mount, signal, useWatch, setting, Badge, Dot, Empty, Notice } from "./lib.js";

const groups = [["general", "In general"], ["pac", "At the counter"], ["pat", "At the table"]];
const kinds = { passed: "good", failed: "bad", "only eyes can tell": "unsure" };

function Line({ l }) {
  return html`<details class="score-line" id=${l.id}><summary><${Dot} kind=${kinds[l.state]}>${l.state}<//> ${l.text} <small class="mono quiet">${l.id}</small></summary>
    ${l.parts.map((p) => html`<div>${p.hint && html`<p>${p.hint}</p>`}${p.todo && p.state !== "passed" && html`<p>${p.todo}</p>`}
      ${p.evidence?.map((e) => html`<p><a href=${"/console/traffic?message=" + e.seq}>${e.text}</a></p>`)}</div>`)}
  </details>`;
}

function Page() {
  const [list, error] = useWatch("checklist", {});
  const till = list?.[0];
  return html`<div class="stack">
    <h1>Checklist</h1>
    ${error && html`<${Notice} kind="bad">${error}<//>`}
    ${list && !till && html`<${Empty}>No till has connected yet.<//>`}
    ${till && groups.map(([side, name]) => html`<section><h2>${name}</h2>${till.lines.filter((l) => l.side === side).map((l) => html`<${Line} key=${l.id} l=${l} />`)}</section>`)}
  </div>`;
}

mount(Page);
