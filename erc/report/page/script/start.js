// Draws the page for the first time and again at every new size.

const stored = store("erc-theme");
if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
$("app").hidden = false;
$("theme").hidden = false;
panels.forEach(resize);
paintTheme();
update();
new ResizeObserver(() => {
  const changed = panels.filter((panel) => panel.box.clientWidth !== panel.width || panel.box.clientHeight !== panel.height);
  if (!changed.length) return;
  setHover(-1);
  for (const panel of changed) { panel.rect = null; resize(panel); redraw(panel); }
  drawOver();
}).observe($("app"));
performance.mark("map-drawn");

// for tests: where a segment is on the screen, and what is shown
window.report = Object.freeze({
  at: (name, i) => {
    const panel = name === "map" ? map : plane, box = panel.box.getBoundingClientRect();
    return { x: box.left + panel.box.clientLeft + panel.x[i], y: box.top + panel.box.clientTop + panel.y[i] };
  },
  id: (i) => ids[i],
  shown: () => Array.from(shown),
  brushed: () => Array.from(shown.filter((i) => state.hasBrush && inBrush[i])),
  state: () => ({ hover: state.hover, selected: state.selected, fold: state.fold }),
});
