// Marks the segments within a rectangle in both plots.

const applyBrush = (panel, rect) => {
  const { x0, y0, x1, y1 } = rect;
  panels.forEach((one) => { one.rect = one === panel ? rect : null; });
  state.hasBrush = true;
  for (const i of shown) inBrush[i] = 0;
  for (const i of shown) {
    if (panel.x[i] >= x0 && panel.x[i] <= x1 && panel.y[i] >= y0 && panel.y[i] <= y1) inBrush[i] = 1;
  }
  panels.forEach(compose);
  drawOver();
  describe();
};
const clearBrush = () => {
  const had = state.hasBrush;
  state.hasBrush = false;
  inBrush.fill(0);
  panels.forEach((panel) => { panel.rect = null; });
  if (had) { panels.forEach(compose); drawOver(); describe(); }
  return had;
};
const spanned = (panel, a, b) => ({
  x0: Math.max(0, Math.min(a.x, b.x)), y0: Math.max(0, Math.min(a.y, b.y)),
  x1: Math.min(panel.width, Math.max(a.x, b.x)), y1: Math.min(panel.height, Math.max(a.y, b.y)),
});
