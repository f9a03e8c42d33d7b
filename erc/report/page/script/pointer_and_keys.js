// Handles mouse, pen, touch and keyboard on the plots.

let drawsByTouch = false;
for (const panel of panels) {
  let from = null, last = null, isDrag = false, waiting = false;
  const at = (event) => {
    const box = panel.box.getBoundingClientRect();
    return { x: event.clientX - box.left - panel.box.clientLeft, y: event.clientY - box.top - panel.box.clientTop };
  };
  panel.box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    from = at(event);
    isDrag = false;
    if (event.pointerType === "mouse" || drawsByTouch) panel.box.setPointerCapture(event.pointerId);
  });
  panel.box.addEventListener("pointermove", (event) => {
    const here = at(event);
    const mayDraw = event.pointerType === "mouse" || event.pointerType === "pen" || drawsByTouch;
    if (from && mayDraw && (isDrag || Math.hypot(here.x - from.x, here.y - from.y) > DRAG)) {
      if (!isDrag) setHover(-1);
      isDrag = true;
      last = here;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (from && isDrag) applyBrush(panel, spanned(panel, from, last));
      });
    } else if (!from && event.pointerType !== "touch") setHover(nearest(panel, here.x, here.y), panel);
  });
  panel.box.addEventListener("pointerup", (event) => {
    if (!from) return;
    const here = at(event), start = from;
    from = null;
    if (isDrag) { isDrag = false; applyBrush(panel, spanned(panel, start, here)); return; }
    const i = nearest(panel, here.x, here.y);
    if (i >= 0) { setHover(i, panel); select(i); return; }
    setHover(-1);
    if (!clearBrush()) select(-1);
  });
  panel.box.addEventListener("pointercancel", () => { from = null; isDrag = false; });
  panel.box.addEventListener("pointerleave", (event) => { if (!from && event.pointerType !== "touch") setHover(-1); });
  panel.box.addEventListener("blur", () => setHover(-1));

  const neighbour = (dx, dy) => {
    const current = state.hover >= 0 ? state.hover : state.selected;
    const hasStart = current >= 0 && isShown[current] && isPlaced(panel, current);
    const x = hasStart ? panel.x[current] : panel.width / 2, y = hasStart ? panel.y[current] : panel.height / 2;
    let best = -1, least = Infinity;
    for (const i of shown) {
      if (i === current || (state.hasBrush && !inBrush[i]) || !isPlaced(panel, i)) continue;
      const along = (panel.x[i] - x) * dx + (panel.y[i] - y) * dy;
      const aside = Math.abs((panel.x[i] - x) * dy) + Math.abs((panel.y[i] - y) * dx);
      if (hasStart && (along <= 0 || aside > 1.2 * along)) continue;
      const cost = hasStart ? along + 1.5 * aside : Math.hypot(panel.x[i] - x, panel.y[i] - y);
      if (cost < least) { least = cost; best = i; }
    }
    return best;
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  panel.box.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow && event.shiftKey) {
      const current = state.hover >= 0 ? state.hover : state.selected;
      const centre = current >= 0 && isShown[current] && isPlaced(panel, current) ? { x: panel.x[current], y: panel.y[current] } : { x: panel.width / 2, y: panel.height / 2 };
      const rect = panel.rect ?? { x0: centre.x - 12, y0: centre.y - 12, x1: centre.x + 12, y1: centre.y + 12 };
      applyBrush(panel, spanned(panel,
        { x: rect.x0 + Math.min(0, arrow[0]) * 20, y: rect.y0 + Math.min(0, arrow[1]) * 20 },
        { x: rect.x1 + Math.max(0, arrow[0]) * 20, y: rect.y1 + Math.max(0, arrow[1]) * 20 }));
      $("announce").textContent = $("brushed").textContent;
    } else if (arrow) {
      const i = neighbour(...arrow);
      if (i >= 0) setHover(i, panel, true);
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      const i = step(event.key === "PageDown" ? 1 : -1);
      if (i >= 0) setHover(i, panel, true);
    } else if (event.key === "Enter" || event.key === " ") {
      if (state.hover >= 0) select(state.hover);
    } else if (event.key === "Escape") {
      setHover(-1);
      if (!clearBrush()) select(-1);
    } else return;
    event.preventDefault();
  });
}
