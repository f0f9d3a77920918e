// One terminal: a card machine that can be touched. What is drawn is what the
// machine says of itself; a press goes to the machine and comes back as its
// next face, to this tab and to every other that shows it.
import { html, mount, setting, signal, useWatch, useState, useEffect, useRef, act, tried, say, Receipt, Badge, Dot, Button, Field, Notice, Clock } from "./lib.js";

const tid = decodeURIComponent(location.pathname.split("/").pop());
const site = new URLSearchParams(location.search).get("site") ?? setting.sites[0];
const what = { site, tid };
const hands = setting.hands;

const byHand = signal(false);

// press sends a key. One that does nothing at this moment is no fault.
function press(key) {
  if (!hands) return;
  if (!byHand.value) say("It plays by itself now. Choose “You, by hand” to use its keys.");
  act("press", { ...what, key }).catch(() => {});
}
const chosen = signal("");

// toMachine puts the focus on the machine, so that keys can be typed.
const toMachine = () => document.getElementById("machine").focus({ preventScroll: true });

const typed = { Enter: "enter", Backspace: "clear", Delete: "clear", Escape: "cancel", m: "menu", M: "menu", F1: "f1", F2: "f2", F3: "f3", F4: "f4" };

const copies = { merchant: "Merchant copy", customer: "Customer copy", duplicate: "Duplicate", bill: "Bill", final: "Final receipt", report: "Report" };
const ways = { insert: "Insert", insertWrongly: "Insert wrongly", tap: "Tap", swipe: "Swipe" };

// ---- the machine itself ----

const faces = { enter: ["Enter", "M5 12.5l4.5 4.5L19 7"], clear: ["Clear", "M9 6l-6 6 6 6h12V6zM12 9.5l5 5M17 9.5l-5 5"], cancel: ["Cancel", "M6 6l12 12M18 6L6 18"], menu: ["Menu", "M5 7h14M5 12h14M5 17h14"] };

function Key({ name, uses, down }) {
  const use = uses.get(name), [label, path] = faces[name] ?? [name.toUpperCase()];
  const says = use?.does && use.does !== label ? `${label}: ${use.does}` : label;
  return html`<button type="button" class=${"key key-" + (/\d/.test(name) && name.length === 1 ? "digit" : name) + (down === name ? " down" : "")} data-key=${name}
    aria-label=${says} aria-disabled=${use ? undefined : "true"} onClick=${() => press(name)}>
    ${path ? html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>` : name.toUpperCase()}
  </button>`;
}

function Display({ face }) {
  const { screen, power } = face;
  if (!power) return html`<div class="machine-screen off"><p class="vh" role="status">The machine is switched off.</p></div>`;
  const digits = screen.keys.filter((k) => /^\d$/.test(k.key) && k.does);
  // A list of choices is written on the screen as well; it is shown once.
  const lines = digits.length > 0 ? screen.lines.filter((l) => !/^\d {2}/.test(l)) : screen.lines;
  const soft = ["f1", "f2", "f3", "f4"].map((f) => screen.keys.find((k) => k.key === f));
  const others = screen.keys.filter((k) => ["enter", "clear", "cancel", "menu"].includes(k.key) && k.does);
  const stars = /^\*+$/.test(screen.entry);
  return html`<div class="machine-screen">
    <div class="machine-lights" aria-hidden="true"><span>${face.tid}</span><span>${face.link ? "ONLINE" : face.cable ? "DIALLING" : "NO LINE"}</span></div>
    <div role="status" aria-live="polite" class="machine-says">
      <p class="machine-title">${screen.title}</p>
      ${lines.map((l) => html`<p>${l}</p>`)}
      ${screen.entry && html`<p class="machine-entry" id="entry">${stars ? html`<span aria-hidden="true">${screen.entry}</span><span class="vh">${screen.entry.length === 1 ? "1 digit" : screen.entry.length + " digits"} typed</span>` : screen.entry}</p>`}
    </div>
    ${digits.length > 0 && html`<div class="machine-menu">${digits.map((k) => html`<button type="button" key=${k.key} onClick=${() => press(k.key)}><kbd>${k.key}</kbd>${k.does}</button>`)}</div>`}
    ${others.length > 0 && html`<p class="machine-help" aria-hidden="true">${others.map((k) => html`<span class=${"help-" + k.key}>${k.does}</span>`)}</p>`}
    ${soft.some(Boolean) && html`<div class="machine-soft" aria-hidden="true">${soft.map((k) => html`<span>${k?.does}</span>`)}</div>`}
  </div>`;
}

const rows = [["f1", "f2", "f3", "f4"], ["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"], ["menu", "0", ""], ["cancel", "clear", "enter"]];

function Body({ face, moved }) {
  const [down, setDown] = useState("");
  const lift = useRef();
  const uses = new Map(face.screen.keys.map((k) => [k.key, k]));
  const last = face.rolls.at(-1);
  const onKeyDown = (e) => {
    if (!hands || e.ctrlKey || e.metaKey || e.altKey || e.repeat) return;
    const key = /^\d$/.test(e.key) ? e.key : typed[e.key];
    if (!key || (e.key === "Enter" && e.target !== e.currentTarget && e.target.closest("button"))) return;
    e.preventDefault();
    setDown(key);
    clearTimeout(lift.current);
    lift.current = setTimeout(() => setDown(""), 120);
    press(key);
  };
  return html`<div class="machine-stand">
    ${last && html`<div class="machine-roll" aria-hidden="true"><${Receipt} key=${last.id} lines=${last.lines} still /></div>`}
    <div id="machine" class=${"machine" + (face.power ? "" : " dark") + (moved ? " " + moved : "")} role="group" aria-label=${"Card machine " + face.tid + ". Digits, Enter, Backspace, Escape and M work when it has the focus."} tabindex="0" onKeyDown=${onKeyDown} onMouseDown=${(e) => {
      if (!e.target.closest(".key")) return;
      e.preventDefault(); // a key that was clicked is not the one that Enter means
      toMachine();
    }}>
      <div class="machine-mouth" aria-hidden="true"></div>
      <div class="machine-tap" aria-hidden="true"><svg viewBox="0 0 24 24"><path d="M6 8.5c1.8 2.2 1.8 4.8 0 7M10 6c3 3.7 3 8.3 0 12M14 3.5c4.3 5.2 4.3 11.8 0 17" /></svg></div>
      <${Display} face=${face} />
      <div class="keypad">${rows.map((row, i) => html`<div class=${"keys keys-" + i}>${row.map((k) => k ? html`<${Key} key=${k} name=${k} uses=${uses} down=${down} />` : html`<span class="key-none" />`)}</div>`)}</div>
      <div class="machine-slot" aria-hidden="true"></div>
    </div>
    <div class=${"machine-card" + (face.slot ? " in" : "")} aria-hidden="true">${face.slot && html`<span class="plastic" data-card=${face.slot.name}><i></i>${face.slot.label}</span>`}</div>
    ${hands && html`<p class="machine-keys">With the focus on the machine: <kbd>0</kbd>–<kbd>9</kbd> <kbd>Enter</kbd> <kbd>Backspace</kbd> <kbd>Esc</kbd> <kbd>M</kbd> <kbd>F1</kbd>–<kbd>F4</kbd></p>`}
  </div>`;
}

// ---- what lies beside it ----

function Wallet({ cards, face, onMove }) {
  const pick = cards.find((c) => c.name === chosen.value) ?? cards[0];
  const wanted = face.screen.cards;
  const present = (how) => {
    onMove(how);
    toMachine();
    return tried("present", { ...what, card: pick.name, how });
  };
  return html`<section class="panel stack" aria-labelledby="cards">
    <h2 id="cards">Cards</h2>
    <div class="wallet" role="radiogroup" aria-labelledby="cards">${cards.map((c) => html`<label key=${c.name} class="plastic" data-card=${c.name}>
      <input type="radio" class="vh" name="card" value=${c.name} checked=${pick.name === c.name} onChange=${() => { chosen.value = c.name; }} />
      <i aria-hidden="true"></i>${c.label}</label>`)}</div>
    <p class="quiet" id="card-about">${pick.happens}${pick.pin && html` The PIN is <b class="mono">${pick.pin}</b>.`}</p>
    <div class="toolbar">
      ${Object.keys(ways).filter((w) => pick.ways.includes(w) || w === "insertWrongly" && pick.ways.includes("insert")).map((w) =>
        html`<${Button} key=${w} kind=${wanted.includes(w) && w !== "insertWrongly" ? "first" : ""} data-way=${w} disabled=${!wanted.includes(w)} onClick=${() => present(w)}>${ways[w]}<//>`)}
      <${Button} kind=${face.screen.asks === "takeOut" ? "first" : ""} data-way="takeOut" disabled=${!face.slot} onClick=${() => tried("takeCard", what)}>Take the card out<//>
    </div>
  </section>`;
}

const Switch = ({ label, on, yes, no, deed, id }) => html`<div class="machine-switch" id=${id}><span id=${id + "-label"}>${label}</span>
  <span class="switch" role="group" aria-labelledby=${id + "-label"}>
    <button type="button" aria-pressed=${on} onClick=${() => on || tried(deed, { ...what, on: true })}>${yes}</button>
    <button type="button" aria-pressed=${!on} onClick=${() => on && tried(deed, { ...what, on: false })}>${no}</button>
  </span></div>`;

function Scenarios({ list, face }) {
  const [name, setName] = useState(list[0].name);
  const [times, setTimes] = useState("1");
  const pick = list.find((s) => s.name === name);
  return html`<section class="panel stack" aria-labelledby="scenario">
    <h2 id="scenario">Scenario</h2>
    <div class="fields">
      <${Field} id="scenario-name" label="What happens"><select id="scenario-name" value=${name} onChange=${(e) => setName(e.currentTarget.value)}>
        <optgroup label="Cards and people">${list.filter((s) => !s.fault).map((s) => html`<option value=${s.name}>${s.label}</option>`)}</optgroup>
        <optgroup label="Something breaks">${list.filter((s) => s.fault).map((s) => html`<option value=${s.name}>${s.label}</option>`)}</optgroup>
      </select><//>
      <${Field} id="scenario-times" label="When"><select id="scenario-times" value=${times} onChange=${(e) => setTimes(e.currentTarget.value)}>
        <option value="1">In the next transaction</option><option value="3">In the next three</option><option value="0">Always</option>
      </select><//>
    </div>
    <p class="quiet">${pick.happens}</p>
    <div class="toolbar">
      <${Button} id="scenario-set" onClick=${() => tried("scenario", { ...what, name, times: +times })}>Play it<//>
      <${Button} id="scenario-off" disabled=${!face.scenarios && !face.always} onClick=${() => tried("scenario", { ...what, name: "" })}>Forget them<//>
      <span class="quiet" role="status">${face.scenarios > 0 && `${face.scenarios} chosen`}${face.scenarios > 0 && face.always && ", then "}${face.always && "always one"}</span>
    </div>
  </section>`;
}

// Signed paper is signed for whoever signs it here: no machine can see that.
const signed = signal(new Set());

function Sign({ roll, line }) {
  const done = signed.value.has(roll);
  return html`<button type="button" class="receipt-sign" disabled=${done} aria-label=${done ? "Signed" : "Sign the merchant copy"} onClick=${() => { signed.value = new Set([...signed.value, roll]); }}>${line.value}
    ${done ? html`<svg viewBox="0 0 120 36" preserveAspectRatio="none" aria-hidden="true"><path d="M4 27c6-14 12-22 15-20s-7 20-4 21 12-16 15-15-4 13 0 13 7-12 10-12-3 12 1 12 8-20 11-20-6 20-2 20 12-11 15-11-4 9 0 9 9-8 13-8 22-4 33-9" /></svg>` : html`<em aria-hidden="true">sign here</em>`}</button>`;
}

const signature = (line) => line.type === "TEXT" && /^X_{8,}$/.test(line.value.trim());

function Slip({ roll }) {
  const at = roll.copy === "merchant" ? roll.lines.findIndex(signature) : -1;
  const label = copies[roll.copy] ?? roll.copy;
  return html`<figure><figcaption>${label}${roll.torn && html` <${Badge} kind="warn">cut short<//>`}</figcaption>
    <${Receipt} lines=${roll.lines} label=${label} instead=${at < 0 ? undefined : { [at]: html`<${Sign} roll=${roll.id} line=${roll.lines[at]} />` }} /></figure>`;
}

function Paper({ face }) {
  const rolls = face.rolls.slice(0, -1).reverse(), last = face.rolls.at(-1);
  return html`<section class="stack" aria-labelledby="paper">
    <div class="toolbar"><h2 id="paper" class="grow">Paper</h2>
      <${Button} id="tear-off" disabled=${face.rolls.length === 0} onClick=${() => tried("tearOff", what)}>Tear off<//></div>
    ${!last && html`<p class="quiet">What the machine prints comes out at its top, and lies here until it is torn off.</p>`}
    <div class="machine-pile">${(last ? [last, ...rolls] : []).map((r) => html`<${Slip} key=${r.id} roll=${r} />`)}</div>
  </section>`;
}

const hints = {
  card: "Choose a card and insert, tap or swipe it.",
  pin: "Type the PIN, then the green key. The red one ends it.",
  takeOut: "Take the card out.",
  paper: "Put a new roll in.",
};

function Machine({ face, cards, scenarios }) {
  const [moved, setMoved] = useState("");
  useEffect(() => {
    if (!moved) return;
    const t = setTimeout(() => setMoved(""), 700);
    return () => clearTimeout(t);
  }, [moved]);
  return html`<div class="machine-page">
    <div class="machine-left"><${Body} face=${face} moved=${moved && "move-" + moved} /></div>
    <div class="stack machine-right">
      ${hands && face.byHand && html`<${Wallet} cards=${cards} face=${face} onMove=${setMoved} />`}
      ${hands && html`<section class="panel stack" aria-labelledby="part">
        <h2 id="part">Who plays its part</h2>
        <div class="toolbar">
          <span class="switch" role="group" aria-labelledby="part">
            <button type="button" id="by-hand" aria-pressed=${face.byHand} onClick=${() => tried("touch", { ...what, on: true })}>You, by hand</button>
            <button type="button" id="by-itself" aria-pressed=${!face.byHand} onClick=${() => tried("touch", { ...what, on: false })}>It plays by itself</button>
          </span>
        </div>
        <p class="quiet">${face.byHand ? hints[face.screen.asks] ?? "From its next request on the machine waits for you: cards, keys and paper." : "It does what its name or a scenario says, and you look on."}</p>
        <div class="machine-switches">
          <${Switch} id="cable" label="Cable" on=${face.cable} yes="In" no="Pulled" deed="cable" />
          <${Switch} id="power" label="Power" on=${face.power} yes="On" no="Off" deed="power" />
          <${Switch} id="roll" label="Paper" on=${face.paper} yes="In" no="Out" deed="paper" />
        </div>
      </section>`}
      ${hands && html`<${Scenarios} list=${scenarios} face=${face} />`}
      <${Paper} face=${face} />
    </div>
  </div>`;
}

// Remote is a terminal that is no machine of ours: its standing is all there is.
function Remote({ t }) {
  return html`<div class="panel stack"><dl class="facts">
    <dt>Status</dt><dd>${t.connected ? html`<${Dot} kind=${t.busy ? "warn" : "good"}>${t.busy ? "Busy" : "Available"}<//>` : html`<${Dot} kind="bad">Not connected<//>`}</dd>
    <dt>Last seen</dt><dd><${Clock} time=${t.lastSeen} ago /></dd>
    <dt>Machine</dt><dd>${t.model} ${t.software}</dd><dt>Currency</dt><dd>${t.currency}</dd><dt>Site</dt><dd>${t.site}</dd>
  </dl><p class="quiet">This one dials in from somewhere else. What its screen shows, only who stands before it can see.</p></div>`;
}

function Page() {
  const [face, error] = useWatch("machine", what);
  const [props] = useWatch("props", {});
  const [list] = useWatch("terminals", {});
  byHand.value = !!face?.byHand;
  const standing = list?.find((t) => t.site === site && t.tid.toUpperCase() === tid.toUpperCase());
  useEffect(() => { document.title = tid + " · Tillwire console"; }, []);
  return html`<div class="stack">
    <div class="toolbar"><h1><span class="mono">${face?.tid ?? tid}</span></h1>
      ${face && html`<span class="quiet">${face.model} · software ${face.software} · ${face.currency}</span>`}
      ${standing && html`<${Badge} kind=${!standing.connected ? "bad" : standing.busy ? "warn" : "good"}>${!standing.connected ? "not connected" : standing.busy ? "busy" : "available"}<//>`}
      ${face?.broken && html`<${Badge} kind="bad">out of order<//>`}
    </div>
    ${standing?.means && html`<p class="quiet">By itself: ${standing.means}</p>`}
    ${face && props && html`<${Machine} face=${face} ...${props} />`}
    ${!face && error && standing && html`<${Remote} t=${standing} />`}
    ${!face && error && list && !standing && html`<${Notice} kind="bad">No terminal of this name is known here. <a href="/console/">The terminals that there are</a>.<//>`}
  </div>`;
}

mount(Page);
