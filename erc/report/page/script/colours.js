// Switches between light and dark colours, and keeps the choice.

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const paintTheme = () => {
  themeCache = null;
  stamps = {};
  $("theme").textContent = isDark() ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  $("theme").setAttribute("aria-pressed", isDark());
  document.querySelectorAll("canvas.glyph").forEach(paintLegendGlyph);
  panels.forEach((panel) => { drawLayer(panel); compose(panel); });
  drawOver();
};
// some browsers forbid storage to a page that was opened from a file
const store = (name, value) => { try { if (value === undefined) return localStorage.getItem(name); localStorage.setItem(name, value); } catch { /* not kept */ } return null; };
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  store("erc-theme", document.documentElement.dataset.theme);
  paintTheme();
});
system.addEventListener("change", paintTheme);
