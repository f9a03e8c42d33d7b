// Light and dark colours, sorting of the main table, enlarging of figures.

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
// some browsers forbid storage to a page that was opened from a file
const store = (name, value) => { try { if (value === undefined) return localStorage.getItem(name); localStorage.setItem(name, value); } catch { /* not kept */ } return null; };
const paint = () => {
  $("theme").textContent = isDark() ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  $("theme").setAttribute("aria-pressed", isDark());
};
const chosen = store("erc-theme");
if (chosen) document.documentElement.dataset.theme = chosen;
$("theme").hidden = false;
paint();
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  store("erc-theme", document.documentElement.dataset.theme);
  paint();
  draw();
});
system.addEventListener("change", () => { paint(); draw(); });

for (const button of document.querySelectorAll("button.enlarge")) {
  button.addEventListener("click", () => { $("large").querySelector("div").replaceChildren(...[...button.children].map((child) => child.cloneNode(true))); $("large").showModal(); });
}
