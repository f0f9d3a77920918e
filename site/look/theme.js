// Light or dark as chosen on this machine, set before the page is painted.
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("tillwire.theme"); } catch { return null; } };
  const show = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
    for (const b of document.querySelectorAll("[data-theme-choice]")) {
      b.setAttribute("aria-pressed", String(b.dataset.themeChoice === (choice || "system")));
    }
  };
  show(kept());
  root.classList.add("scripted");
  document.addEventListener("DOMContentLoaded", () => show(kept()));
  addEventListener("storage", () => show(kept()));
  document.addEventListener("click", (e) => {
    const b = e.target.closest?.("[data-theme-choice]");
    if (!b) return;
    const choice = b.dataset.themeChoice;
    try {
      if (choice === "system") localStorage.removeItem("tillwire.theme");
      else localStorage.setItem("tillwire.theme", choice);
    } catch { /* kept for this page only */ }
    show(choice);
  });
})();
