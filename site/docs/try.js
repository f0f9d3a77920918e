// "Try it": sends a message over the public WebSocket of this gateway, as any
// till would, and shows the conversation with what is wrong in it.

const key = "demo";

export function start(box, base) {
  const { face, version, extensions } = box.dataset;
  const form = box.querySelector("form");
  const { which, tid, text, stop, clear } = form.elements;
  const talk = box.querySelector(".talk");
  const status = box.querySelector(".status");
  const asked = new Map(); // our ids, to methods
  let socket = null;
  let begun = 0;

  const name = version === "v0" ? "tpi" : "tid";

  // fill takes the chosen message, for the chosen card machine.
  function fill() {
    const machine = tid.value;
    text.value = which.value
      .replace(new RegExp(`"${name}"(\\s*):(\\s*)"[^"]*"`, "g"), `"${name}"$1:$2"${machine}"`)
      .replace(/"tpis"(\s*):(\s*)\[[^\]]*\]/g, `"tpis"$1:$2["${machine}"]`);
  }
  which.addEventListener("change", fill);
  tid.addEventListener("change", fill);
  fill();
  form.hidden = false;

  function address() {
    const url = new URL(`../${face}`, base);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("token", key);
    url.searchParams.set("api-version", version);
    if (version !== "v0") {
      url.searchParams.set("software-house-id", "DEMOSWH");
      url.searchParams.set("installer-id", "DEMOINST");
    }
    if (extensions) url.searchParams.set("extensions", extensions);
    if (extensions === "resume") url.searchParams.set("stream", `docs-${Math.random().toString(36).slice(2)}`);
    return url.href;
  }

  function element(tag, className, words) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    if (words !== undefined) e.textContent = words;
    return e;
  }

  function pretty(raw) {
    try { return JSON.stringify(JSON.parse(raw), null, 2); } catch { return raw; }
  }

  function summary(raw) {
    try {
      const m = JSON.parse(raw);
      if (m.method === "terminalNotification") return m.params.notificationValue;
      if (m.method) return m.method;
      if (m.error) return `error ${m.error.code} ${m.error.message}`;
      return m.result?.transactionResult ?? "result";
    } catch { return "not JSON"; }
  }

  async function add(raw, sent, answers) {
    const item = element("li", sent ? "sent" : "got");
    const fold = element("details");
    const head = element("summary");
    head.append(element("span", sent ? "badge" : "badge accent", sent ? "EPOS → Connect" : "Connect → EPOS"), " ", element("b", "", summary(raw)));
    head.append(" ", element("span", "quiet", `${((performance.now() - begun) / 1000).toFixed(2)} s`), " ");
    const verdict = element("span", "badge", "…");
    head.append(verdict);
    fold.append(head, element("pre", "", pretty(raw)));
    item.append(fold);
    talk.append(item);
    answerable(item, raw, sent);
    await judge(item, verdict, raw, sent, answers);
    item.scrollIntoView({ block: "nearest" });
  }

  // answerable puts buttons under a question about a signature.
  function answerable(item, raw, sent) {
    let m;
    try { m = JSON.parse(raw); } catch { return; }
    if (sent && m.method) asked.set(m.id, m.method);
    if (sent || m.method !== "signatureVerificationRequest") return;
    const bar = element("div", "bar");
    bar.append(element("span", "", "Does the signature match?"));
    for (const [words, accepted] of [["Accept", true], ["Reject", false]]) {
      const b = element("button", accepted ? "button small first" : "button small", words);
      b.type = "button";
      b.addEventListener("click", () => {
        send(JSON.stringify({ jsonrpc: "2.0", id: m.id, result: { accepted } }), "signatureVerificationRequest");
        bar.remove();
      });
      bar.append(b);
    }
    item.append(bar);
  }

  async function judge(item, verdict, raw, sent, answers) {
    let m = {};
    try { m = JSON.parse(raw); } catch { /* the gateway says so */ }
    const order = {
      version, face, extensions, text: raw,
      direction: sent ? "EPOS → Connect" : "Connect → EPOS",
      method: m.method ?? answers ?? asked.get(m.id) ?? "",
    };
    try {
      const answer = await fetch(new URL("try/check", base), { method: "POST", body: JSON.stringify(order) });
      if (!answer.ok) throw new Error(await answer.text());
      const { faults } = await answer.json();
      verdict.className = faults.length ? "badge bad" : "badge good";
      verdict.textContent = faults.length ? (faults.length === 1 ? "1 deviation" : `${faults.length} deviations`) : "fits its schema";
      if (faults.length) {
        const ul = element("ul", "faults");
        for (const f of faults) {
          ul.append(element("li", "", f.message));
        }
        item.append(ul);
      }
    } catch (e) {
      verdict.className = "badge warn";
      verdict.textContent = "not checked";
      verdict.title = e.message;
    }
  }

  function send(raw, answers) {
    const go = () => {
      socket.send(raw);
      add(raw, true, answers);
    };
    if (socket?.readyState === WebSocket.OPEN) return go();
    begun = performance.now();
    status.textContent = "Connecting…";
    const mine = socket = new WebSocket(address());
    mine.addEventListener("open", () => { status.textContent = "Connected."; stop.disabled = false; go(); });
    mine.addEventListener("message", (e) => add(e.data, false));
    mine.addEventListener("close", (e) => {
      stop.disabled = true;
      status.textContent = e.code === 1006 ? "No connection. Is the gateway running, with its site demo?" : `Closed: ${e.code} ${e.reason}`;
    });
  }

  form.addEventListener("submit", (e) => { e.preventDefault(); send(text.value.trim()); });
  stop.addEventListener("click", () => socket?.close(1000));
  clear.addEventListener("click", () => talk.replaceChildren());
}
