// Draws an emotion's marker: filled for a right prediction, hollow for a wrong one, small for a segment that is not scored.

const POLYGONS = {
  square: [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  diamond: [[0, -1.15], [1.05, 0], [0, 1.15], [-1.05, 0]],
  up: [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
  down: [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
  plus: [[-0.4, -1.05], [0.4, -1.05], [0.4, -0.4], [1.05, -0.4], [1.05, 0.4], [0.4, 0.4], [0.4, 1.05], [-0.4, 1.05],
    [-0.4, 0.4], [-1.05, 0.4], [-1.05, -0.4], [-0.4, -0.4]],
  left: [[-1.1, 0], [0.8, -1.05], [0.8, 1.05]],
  right: [[1.1, 0], [-0.8, -1.05], [-0.8, 1.05]],
  lozenge: [[0, -1.15], [0.65, 0], [0, 1.15], [-0.65, 0]],
};
// corners at these distances from the middle in turn, the first of them above it
const around = (count, ...radii) => Array.from({ length: count * radii.length }, (_, k) => {
  const angle = (2 * Math.PI * k) / (count * radii.length), far = radii[k % radii.length];
  return [far * Math.sin(angle), -far * Math.cos(angle)];
});
POLYGONS.pentagon = around(5, 1.05);
POLYGONS.hexagon = around(6, 1);
POLYGONS.star = around(5, 1.25, 0.5);
POLYGONS.spark = around(4, 1.3, 0.45);
POLYGONS.cross = POLYGONS.plus.map(([a, b]) => [(a - b) * 0.75, (a + b) * 0.75]);
const outline = (context, shape, x, y, r) => {
  context.beginPath();
  if (shape === "circle") context.arc(x, y, r * 0.95, 0, 7);
  else for (const [a, b] of POLYGONS[shape]) context.lineTo(x + a * r, y + b * r);
  context.closePath();
};
const NO_VOTES = { colour: "#6E6E6E", shape: "circle" };
// right: filled; wrong: hollow; tied or without votes, hence not scored: small
const glyph = (context, emotion, kind, x, y, r, colours) => {
  const shape = data.shapes[emotion] ?? NO_VOTES.shape, colour = data.colours[emotion] ?? NO_VOTES.colour;
  outline(context, shape, x, y, kind >= 2 ? r * 0.62 : r);
  context.lineJoin = "round";
  if (kind === 1) {
    const width = Math.max(1.2, r * 0.38);
    if (r >= 3) {
      context.strokeStyle = colours.edge;
      context.lineWidth = width + 0.9;
      context.stroke();
    }
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
    return;
  }
  context.fillStyle = colour;
  context.fill();
  if (r < 3) return; // an edge would be most of it
  context.strokeStyle = colours.edge;
  context.lineWidth = 0.6;
  context.stroke();
};
const ratio = () => Math.min(window.devicePixelRatio || 1, 2);
const makeCanvas = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
const legendGlyph = (emotion, kind) => {
  const canvas = makeCanvas(32, 32);
  canvas.className = "glyph";
  canvas.setAttribute("aria-hidden", "true");
  canvas.dataset.emotion = emotion;
  canvas.dataset.kind = kind;
  paintLegendGlyph(canvas);
  return canvas;
};
const paintLegendGlyph = (canvas) => {
  const context = canvas.getContext("2d");
  context.setTransform(2, 0, 0, 2, 0, 0);
  context.clearRect(0, 0, 16, 16);
  glyph(context, +canvas.dataset.emotion, +canvas.dataset.kind, 8, 8, 5.6, theme());
};
let themeCache = null;
const theme = () => {
  if (!themeCache) {
    const style = getComputedStyle(document.documentElement);
    themeCache = Object.fromEntries(
      ["ink", "soft", "grid", "accent", "edge", "plot"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
  }
  return themeCache;
};
