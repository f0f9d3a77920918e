// What pages can do with scripts and are whole without: copy buttons, search,
// opening what an anchor is in, and remembering the version.

const root = document.documentElement;
const base = new URL(root.dataset.docs || "./", location.href);
const ending = root.dataset.ending || "";

// ---- copy ----

for (const pre of document.querySelectorAll(".body pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small quiet copy";
  button.textContent = "Copy";
  const title = pre.closest("figure")?.querySelector(".title, figcaption")?.textContent?.trim();
  button.setAttribute("aria-label", title ? `Copy: ${title}` : "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  pre.parentElement.classList.add("copyable");
  pre.before(button);
}

// ---- anchors: what is folded opens when it is the target ----

function open() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  if (!target) return;
  let folded = false;
  for (let e = target; e; e = e.parentElement) {
    if (e instanceof HTMLDetailsElement && !e.open) { e.open = true; folded = true; }
  }
  if (folded) target.scrollIntoView();
}
addEventListener("hashchange", open);
open();

// ---- the navigation is long: where the reader is comes into view ----

const here = document.querySelector(".side a[aria-current]");
if (here) {
  const side = here.closest(".side");
  const below = here.getBoundingClientRect().bottom - side.getBoundingClientRect().bottom;
  if (below > 0) side.scrollTop += below + side.clientHeight / 2;
}

// ---- version: a reader of v0 stays in v0 ----

const kept = "tillwire.version";
for (const a of document.querySelectorAll("[data-choose-version]")) {
  const go = () => { a.hash = location.hash; };
  a.addEventListener("pointerdown", go);
  a.addEventListener("click", () => {
    go();
    try { localStorage.setItem(kept, a.dataset.chooseVersion); } catch { /* for this page only */ }
  });
}
let version = root.dataset.version;
try {
  if (version) localStorage.setItem(kept, version);
  else version = localStorage.getItem(kept);
} catch { /* nothing is kept here */ }
if (version === "v0" && !root.dataset.version) {
  const v1 = new URL("v1/", base).href;
  for (const a of document.querySelectorAll(".side a, .body a")) {
    if (a.href.startsWith(v1)) a.href = new URL("v0/", base).href + a.href.slice(v1.length);
  }
}

// ---- search ----

const form = document.querySelector("form.search");
const input = form.querySelector("input");
const list = form.querySelector(".results");
let pages; // a promise, once somebody searches
let chosen = -1;

const load = () => pages ??= fetch(new URL("search.json", base)).then((r) => r.json());

const words = (s) => s.toLowerCase().split(/[^\p{L}\p{N}_-]+/u).filter(Boolean);

// score says how well a part of a page fits; 0 for not at all.
function score(terms, page, part) {
  const title = page.n.toLowerCase(), heading = part.h.toLowerCase(), text = (part.t || "").toLowerCase();
  const names = part.a ? [] : (page.k || []).map((k) => k.toLowerCase());
  let sum = 0;
  for (const term of terms) {
    let best = 0;
    if (names.includes(term)) best = 60;
    else if (heading === term) best = 40;
    else if (title === term) best = 30;
    else if (names.some((n) => n.startsWith(term))) best = 25;
    else if (heading.startsWith(term)) best = 20;
    else if (heading.includes(term)) best = 12;
    else if (title.includes(term)) best = 8;
    else if (text.includes(term)) best = 3;
    if (!best) return 0;
    sum += best;
  }
  if (!part.a) sum += 6;
  if (page.v === "v0" && version !== "v0") sum /= 8;
  return sum * page.w;
}

// find lists the parts that fit best, at most three of a page and none of its
// headings twice.
function find(all, query) {
  const terms = words(query);
  const hits = [];
  if (!terms.length) return hits;
  for (const page of all) {
    for (const part of page.p) {
      const points = score(terms, page, part);
      if (points) hits.push({ page, part, points });
    }
  }
  hits.sort((a, b) => b.points - a.points);
  const shown = new Map();
  return hits.filter(({ page, part }) => {
    const seen = shown.get(page) || [];
    if (seen.length === 3 || seen.includes(part.h)) return false;
    shown.set(page, [...seen, part.h]);
    return true;
  }).slice(0, 12);
}

function address({ page, part }) {
  let path = page.u;
  if (path === "index" || path.endsWith("/index")) path = ending ? path + ending : path.slice(0, -5);
  else path += ending;
  return new URL(path + (part.a ? "#" + part.a : ""), base).href;
}

// around is the words of a text about the first term that is found in it.
function around(text, terms) {
  const at = terms.map((t) => text.toLowerCase().indexOf(t)).filter((i) => i >= 0).sort((a, b) => a - b)[0] ?? 0;
  const from = Math.max(0, at - 40);
  return (from ? "…" : "") + text.slice(from, from + 130) + (text.length > from + 130 ? "…" : "");
}

async function show() {
  const query = input.value.trim();
  if (!query) { list.hidden = true; return; }
  let hits;
  try {
    hits = find(await load(), query);
  } catch {
    list.hidden = true; // files on a disk cannot be read by scripts; Enter lists all pages
    return;
  }
  if (input.value.trim() !== query) return;
  chosen = -1;
  list.replaceChildren(...hits.map((hit) => {
    const a = document.createElement("a");
    a.href = address(hit);
    const name = document.createElement("b");
    name.textContent = hit.part.a ? hit.part.h : hit.page.n;
    const where = document.createElement("span");
    where.textContent = [hit.page.s, hit.part.a ? hit.page.n : "", hit.page.v || ""].filter(Boolean).join(" · ");
    const text = document.createElement("small");
    text.textContent = around(hit.part.t || "", words(query));
    a.append(name, where, text);
    return a;
  }));
  if (!hits.length) {
    const none = document.createElement("p");
    none.textContent = "Nothing has these words.";
    list.append(none);
  }
  list.hidden = false;
}

function choose(by) {
  const links = list.querySelectorAll("a");
  if (!links.length) return;
  chosen = (chosen + by + links.length) % links.length;
  links.forEach((a, i) => a.classList.toggle("chosen", i === chosen));
  links[chosen].scrollIntoView({ block: "nearest" });
}

input.addEventListener("focus", () => { load().catch(() => {}); });
input.addEventListener("input", show);
input.addEventListener("keydown", (e) => {
  if (e.key === "ArrowDown") { choose(1); e.preventDefault(); }
  if (e.key === "ArrowUp") { choose(-1); e.preventDefault(); }
  if (e.key === "Escape") { list.hidden = true; input.blur(); }
});
form.addEventListener("submit", (e) => {
  const a = list.querySelector("a.chosen") || (!list.hidden && list.querySelector("a"));
  if (a) { e.preventDefault(); a.click(); list.hidden = true; }
});
document.addEventListener("click", (e) => { if (!form.contains(e.target)) list.hidden = true; });
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && !e.target.closest("input, textarea, select")) { input.focus(); e.preventDefault(); }
});

// ---- try it ----

const box = document.querySelector(".try");
if (box) import(box.dataset.script).then((m) => m.start(box, base));
