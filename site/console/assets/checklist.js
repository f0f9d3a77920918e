// The integration checklist, as far as each till has come by itself.
import { html, mount, signal, useWatch, tried, setting, moment, since, Badge, Empty, Button, Field, Notice } from "./lib.js";

const groups = [["general", "In general"], ["pac", "At the counter"], ["pat", "At the table"]];

// How a state is drawn: a sign, a colour, and in the count and in the badge a word.
const states = {
  passed: ["✓", "good", "passed", "passed"],
  failed: ["✗", "bad", "failed", "failed"],
  "only eyes can tell": ["?", "unsure", "for your eyes", "your eyes"],
  "not seen yet": ["○", "", "not seen yet", "not seen yet"],
  "run tillwire check": ["→", "news", "by tillwire check only", "tillwire check"],
};

const chosen = signal(0), only = signal(new URLSearchParams(location.search).get("only") ?? ""), site = signal("");

const local = (at) => new Date(at).toLocaleTimeString([], { hour12: false });
const nameOf = (t) => (t.softwareHouse ? t.softwareHouse + (t.installer ? " / " + t.installer : "") : "without a software house id") + ", " + t.host;

// Linked is a text in which card machines and commands can be used.
const Linked = ({ text }) => text.split(/(VCMDEMO[A-Z]{3}\d|tillwire(?: (?:--)?(?:[a-z][\w.-]*\w|VCM\w+|\d+))+)/).map((part, i) => i % 2 === 0 ? part
  : part.startsWith("VCM") ? html`<a class="mono" href=${"/console/terminals/" + part}>${part}</a>` : html`<code>${part}</code>`);

function Mark({ state }) {
  const [sign, kind] = states[state];
  return html`<span class=${"score-mark " + kind} aria-hidden="true">${sign}</span>`;
}

// Eyes asks what only somebody at the till can see.
function Eyes({ till, p, label }) {
  const tell = (yes) => tried("say", { site: site.value, till, step: p.step, yes });
  if (p.byWord) return html`<p class="quiet score-by">By your word. <${Button} kind="quiet small" aria-label=${"Take back: " + label} onClick=${() => tell(null)}>Take back<//></p>`;
  if (p.state !== "only eyes can tell") return null;
  return html`<p class="score-asks"><span>${p.question}</span> <span class="score-keys"><${Button} kind="small" aria-label=${"Yes: " + p.question} onClick=${() => tell(true)}>Yes<//><${Button} kind="small" aria-label=${"No: " + p.question} onClick=${() => tell(false)}>No<//></span></p>`;
}

// Seen are the messages that decided, folded away.
function Seen({ parts }) {
  const all = parts.flatMap((p) => p.evidence ?? []);
  if (all.length === 0) return null;
  const last = parts.map((p) => p.at ?? "").sort().at(-1);
  return html`<details><summary>What decided, at ${local(last)}</summary><ol class="score-seen">${all.map((e) => html`<li><a href=${"/console/traffic?message=" + e.seq + (site.value ? "&site=" + encodeURIComponent(site.value) : "")} class="mono" title="In the traffic">${local(e.at)}</a> <span class="mono">${e.text}</span></li>`)}</ol></details>`;
}

const Before = ({ p }) => p.failed && p.state !== "failed" && html`<p class="warn-text score-by">It failed at ${local(p.failed)} before that.</p>`;

function Part({ till, p, one, label }) {
  const open = p.state !== "passed" && p.state !== "only eyes can tell" && !p.byWord;
  return html`<div class=${"score-part" + (one ? "" : " of-many")}>
    ${!one && html`<p class="score-step"><${Mark} state=${p.state} /><span class="mono">${p.step.split("/")[1]}</span><span class="vh">: ${p.state}</span></p>`}
    ${p.state === "failed" && html`<p class="bad-text">${p.hint}</p>`}
    ${open && html`<p class="quiet"><${Linked} text=${p.todo} /></p>`}
    <${Eyes} till=${till} p=${p} label=${label} />
    <${Before} p=${p} />
    <${Seen} parts=${[p]} />
  </div>`;
}

function Line({ till, l }) {
  const [, kind, , word] = states[l.state], folded = l.state === "passed" && !l.parts.some((p) => p.byWord);
  return html`<li class="score-line" data-state=${l.state} id=${l.id}>
    <${Mark} state=${l.state} />
    <div class="score-body">
      <p><span class="score-text">${l.text}</span> <span class="score-id quiet"><span class="mono">${l.id}</span> · section ${l.clause}${l.optional && " · may be left out"}</span></p>
      ${folded ? html`<div class="score-part">${l.parts.map((p) => html`<${Before} p=${p} />`)}<${Seen} parts=${l.parts} /></div>`
        : l.parts.map((p) => html`<${Part} key=${p.step} till=${till} p=${p} one=${l.parts.length === 1} label=${l.text} />`)}
    </div>
    <${Badge} kind=${kind}>${word}<//>
  </li>`;
}

const count = (lines, state) => lines.filter((l) => l.state === state).length;

// Bar is how far the till has come, as a picture of the words beside it.
function Bar({ lines }) {
  let x = 0;
  return html`<svg class="score-bar" viewBox=${`0 0 ${lines.length} 1`} preserveAspectRatio="none" aria-hidden="true">${["passed", "only eyes can tell", "failed"].map((s) => {
    const n = count(lines, s), r = html`<rect class=${states[s][1]} x=${x} y="0" width=${n} height="1" />`;
    x += n;
    return r;
  })}</svg>`;
}

// A till for the counter need not come to tables, and the other way round.
const wanted = (t, side) => side === "general" || !t.faces?.length || t.faces.includes(side);

function Till({ t }) {
  const lines = t.lines.filter((l) => wanted(t, l.side)), words = Object.keys(states).map((s) => [s, count(lines, s)]).filter(([s, n]) => n > 0 || s === "passed");
  return html`
    <section class="panel score-head" aria-label="How far it has come">
      <p class="score-count" role="status"><strong>${count(lines, "passed")}</strong> of ${lines.length} lines passed${words.slice(1).map(([s, n]) => html`<span class="quiet"> · ${n} ${states[s][2]}</span>`)}</p>
      <${Bar} lines=${lines} />
      <p class="quiet score-till">${nameOf(t)} · ${t.faces?.length ? t.faces.map((f) => "/" + f).join(" and ") : "was never let in"} · ${t.open ? "connected" : "not connected"} · heard ${since(t.last)}</p>
    </section>
    ${groups.map(([side, name]) => {
      const all = t.lines.filter((l) => l.side === side), shown = all.filter((l) => only.value === "" || l.state !== "passed");
      return all.length > 0 && html`<section key=${side} aria-labelledby=${"side-" + side}>
        <h2 id=${"side-" + side}>${name}${wanted(t, side) && html` <small class="quiet">${count(all, "passed")} of ${all.length}</small>`}</h2>
        ${!wanted(t, side) ? html`<p class="quiet">The till has not connected to <span class="mono">/${side}</span>. Once it does, ${all.length} more lines are for it.</p>`
          : shown.length > 0 ? html`<ul class="score">${shown.map((l) => html`<${Line} key=${l.id} till=${t.till} l=${l} />`)}</ul>` : html`<p class="quiet">Nothing is missing here.</p>`}
      </section>`;
    })}`;
}

function show(value) {
  only.value = value;
  history.replaceState(null, "", value ? "?only=" + value : location.pathname);
}

function Page() {
  const [list, error] = useWatch("checklist", { site: site.value });
  if (list?.length && !list.some((t) => t.till === chosen.value)) chosen.value = list[0].till; // stays with it when others are heard
  const till = list?.find((t) => t.till === chosen.value);
  return html`<div class="stack score-page">
    <div class="toolbar"><h1 class="grow">Checklist</h1>
      ${till && html`<span class="switch" role="group" aria-label="Which lines"><button type="button" aria-pressed=${only.value === ""} onClick=${() => show("")}>All lines</button><button type="button" id="only-open" aria-pressed=${only.value !== ""} onClick=${() => show("open")}>Still open</button></span>`}
    </div>
    ${error && html`<${Notice} kind="bad">${error}<//>`}
    ${(list?.length > 1 || setting.sites.length > 1) && html`<div class="fields">
      ${setting.sites.length > 1 && html`<${Field} id="score-site" label="Site"><select id="score-site" value=${site.value || setting.sites[0]} onChange=${(e) => { site.value = e.currentTarget.value; }}>${setting.sites.map((s) => html`<option value=${s}>${s}</option>`)}</select><//>`}
      ${list?.length > 1 && html`<${Field} id="score-till" label=${`Till (${list.length} were heard)`}><select id="score-till" value=${String(chosen.value)} onChange=${(e) => { chosen.value = Number(e.currentTarget.value); }}>
        ${list.map((t) => html`<option value=${String(t.till)}>${t.till}: ${nameOf(t)}, key ${t.key || "unknown"}</option>`)}</select><//>`}
    </div>`}
    ${!list && !error && html`<p class="quiet" role="status">Reading…</p>`}
    ${list?.length === 0 && html`<${Empty}>No till has connected yet. Each that does is gone by the checklist from then on, whatever it does: no step is asked for. <a href="/docs/checklist">How this works</a>.<//>`}
    ${till && html`<${Till} key=${till.till} t=${till} />`}
  </div>`;
}

mount(Page);
