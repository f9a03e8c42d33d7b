// Paints the plots: axes, segments, the rectangle, and rings around the chosen segments.

const radius = (panel) => {
  const count = shown.length / (panel.facets.length > 1 ? 0.5 : 1);
  const r = count > 12000 ? 2.1 : count > 4000 ? 2.7 : count > 1200 ? 3.4 : count > 400 ? 4.2 : 5;
  return panel.width < 420 ? Math.max(2, r * 0.85) : r;
};
let stamps = {};
const stampsOf = (r) => {
  const scale = ratio();
  return (stamps[`${r}/${scale}`] ??= Array.from({ length: (K + 1) * 4 }, (_, k) => {
    const side = Math.ceil((2 * r * 1.2 + 3) * scale);
    const canvas = makeCanvas(side, side), context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, side / 2, side / 2);
    glyph(context, Math.floor(k / 4), k % 4, 0, 0, r, theme());
    return canvas;
  }));
};
const stampAll = (panel, context, indices) => {
  const sprites = stampsOf(radius(panel)), scale = ratio();
  const half = sprites[0].width / 2;
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (const i of indices) {
    if (!isPlaced(panel, i)) continue;
    const k = emotionOf(i) * 4 + outcome[i];
    context.drawImage(sprites[k], Math.round(panel.x[i] * scale - half), Math.round(panel.y[i] * scale - half));
  }
};
const drawFrame = (panel, context) => {
  const { grid, soft, ink } = theme();
  context.lineWidth = 1;
  context.fillStyle = soft;
  context.font = "12px system-ui, sans-serif";
  if (panel === map) {
    context.strokeStyle = grid;
    for (const facet of panel.facets.length > 1 ? panel.facets : []) {
      context.strokeRect(Math.round(facet.x) + 0.5, Math.round(facet.y) + 0.5, Math.round(facet.width), Math.round(facet.height));
      context.textAlign = "left";
      context.fillText(`fold ${data.folds[facet.fold].fold}`, facet.x + 8, facet.y + 16);
    }
    return;
  }
  for (const value of data.vaTicks) {
    const x = Math.round(planeX(value)) + 0.5, y = Math.round(planeY(value)) + 0.5;
    context.strokeStyle = grid;
    context.lineWidth = value === (data.vaMin + data.vaMax) / 2 ? 2 : 1;
    context.beginPath();
    context.moveTo(x, planeY(data.vaMax)); context.lineTo(x, planeY(data.vaMin));
    context.moveTo(planeX(data.vaMin), y); context.lineTo(planeX(data.vaMax), y);
    context.stroke();
    context.textAlign = "center";
    context.fillText(value, x, planeY(data.vaMin) + 18);
    context.textAlign = "right";
    context.fillText(value, planeX(data.vaMin) - 10, y + 4);
  }
  context.fillStyle = ink;
  context.textAlign = "center";
  context.fillText(`valence (${data.vaMin} negative, ${data.vaMax} positive)`, (planeX(data.vaMin) + planeX(data.vaMax)) / 2, panel.height - 8);
  context.save();
  context.translate(14, (planeY(data.vaMin) + planeY(data.vaMax)) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(`arousal (${data.vaMin} calm, ${data.vaMax} excited)`, 0, 0);
  context.restore();
};
const clear = (context) => {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
};
// a page that loads in the background has no width yet; the ResizeObserver draws it later
const isFlat = (panel) => panel.width < 1 || panel.height < 1;
const drawLayer = (panel) => {
  if (isFlat(panel)) return;
  clear(panel.layer);
  stampAll(panel, panel.layer, shown);
};
const compose = (panel) => {
  if (isFlat(panel)) return;
  const context = panel.base, scale = ratio();
  clear(context);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  drawFrame(panel, context);
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (!state.hasBrush) {
    context.drawImage(panel.layer.canvas, 0, 0);
    return;
  }
  context.globalAlpha = 0.13;
  context.drawImage(panel.layer.canvas, 0, 0);
  context.globalAlpha = 1;
  stampAll(panel, context, shown.filter((i) => inBrush[i]));
};
const ring = (panel, i, colour, width, dash) => {
  if (!isPlaced(panel, i)) return;
  const context = panel.over;
  context.beginPath();
  context.arc(panel.x[i], panel.y[i], radius(panel) + 4.5, 0, 7);
  context.setLineDash([]);
  context.strokeStyle = theme().plot;
  context.lineWidth = width + 2.5;
  context.stroke();
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
};
// an arrow from the raters' place of a segment to the model's
const tie = (i, colour) => {
  const context = plane.over;
  const [x0, y0, x1, y1] = [planeX(rated(i, 0)), planeY(rated(i, 1)), planeX(predictedAs(i, 0)), planeY(predictedAs(i, 1))];
  if (!Number.isFinite(x0 + y0)) return;
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x0, y0); context.lineTo(x1, y1);
  context.stroke();
  const angle = Math.atan2(y1 - y0, x1 - x0);
  if (Math.hypot(x1 - x0, y1 - y0) > 12) {
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x1 - 9 * Math.cos(angle - 0.4), y1 - 9 * Math.sin(angle - 0.4));
    context.lineTo(x1 - 9 * Math.cos(angle + 0.4), y1 - 9 * Math.sin(angle + 0.4));
    context.fill();
  }
};
const drawOver = () => {
  const { ink, accent } = theme(), scale = ratio();
  for (const panel of panels) {
    const context = panel.over;
    clear(context);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    if (panel.rect) {
      const { x0, y0, x1, y1 } = panel.rect;
      context.globalAlpha = 0.1;
      context.fillStyle = accent;
      context.fillRect(x0, y0, x1 - x0, y1 - y0);
      context.globalAlpha = 1;
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
    const marked = state.hover >= 0 ? state.hover : state.selected;
    if (panel === plane && marked >= 0 && isShown[marked]) tie(marked, ink);
    if (state.selected >= 0 && isShown[state.selected]) ring(panel, state.selected, accent, 2.5, []);
    if (state.hover >= 0 && state.hover !== state.selected) ring(panel, state.hover, ink, 2, []);
  }
};
const resize = (panel) => {
  const { clientWidth: width, clientHeight: height } = panel.box, scale = ratio();
  panel.width = width; panel.height = height;
  for (const context of [panel.base, panel.over, panel.layer]) {
    context.canvas.width = Math.round(width * scale);
    context.canvas.height = Math.round(height * scale);
  }
};
const redraw = (panel) => {
  place(panel);
  buildIndex(panel);
  drawLayer(panel);
  compose(panel);
};
