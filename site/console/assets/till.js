// The till in the page: at the counter and at tables, over the public sockets.
import { html, mount, signal } from "./lib.js";
import { Counter } from "./till-pac.js";
import { Tables } from "./till-pat.js";

const tabs = { pac: ["Pay at counter", Counter], pat: ["Pay at table", Tables] };
const shown = signal(location.hash === "#pat" ? "pat" : "pac");
addEventListener("hashchange", () => { shown.value = location.hash === "#pat" ? "pat" : "pac"; });

// Both are drawn and one is hidden: a till at tables answers while its cashier
// works at the counter.
mount(() => html`<div class="stack">
  <h1>A till</h1>
  <nav class="tabs" aria-label="Ways of paying">${Object.entries(tabs).map(([k, [label]]) => html`<a key=${k} href=${"#" + k} aria-current=${shown.value === k ? "true" : undefined}>${label}</a>`)}</nav>
  ${Object.entries(tabs).map(([k, [, Part]]) => html`<div key=${k} hidden=${shown.value !== k}><${Part} /></div>`)}
</div>`);
