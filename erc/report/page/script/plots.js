// Places every segment in both plots, and finds the segment nearest to a pointer.

const makePanel = (name) => {
  const box = $(name);
  const [base, over] = box.querySelectorAll("canvas");
  return {
    name, box, base: base.getContext("2d"), over: over.getContext("2d"), layer: makeCanvas(1, 1).getContext("2d"),
    x: new Float32Array(n), y: new Float32Array(n), width: 0, height: 0, rect: null, facets: [],
  };
};
const map = makePanel("map");
const plane = data.hasPlane ? makePanel("va") : null;
const panels = plane ? [map, plane] : [map];
// a segment that was not rated has no place in the raters' plane
const isPlaced = (panel, i) => Number.isFinite(panel.x[i]) && Number.isFinite(panel.y[i]);
const SHIFT = 0.02 * (data.vaMax - data.vaMin);
// a segment always gets the same shift; without it, segments of equal means would hide one another
const shift = (i, axis) => {
  let h = Math.imul(2 * i + axis + 1, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (((h ^ (h >>> 16)) >>> 0) / 4294967296 - 0.5) * SHIFT;
};

const bounds = data.folds.map(() => [Infinity, Infinity, -Infinity, -Infinity]);
for (let i = 0; i < n; i++) {
  const b = bounds[fold[i]];
  b[0] = Math.min(b[0], xy[2 * i]); b[1] = Math.min(b[1], xy[2 * i + 1]);
  b[2] = Math.max(b[2], xy[2 * i]); b[3] = Math.max(b[3], xy[2 * i + 1]);
}
// one cell per fold: each fold has its own embedding space, so folds never share a cell
const placeMap = (panel) => {
  const folds = state.fold < 0 ? data.folds.map((_, k) => k) : [state.fold];
  const columns = Math.ceil(Math.sqrt(folds.length));
  const rows = Math.ceil(folds.length / columns);
  panel.facets = folds.map((k, place) => ({
    fold: k, x: ((place % columns) * panel.width) / columns, y: (Math.floor(place / columns) * panel.height) / rows,
    width: panel.width / columns, height: panel.height / rows,
  }));
  const facetOf = new Map(panel.facets.map((facet) => [facet.fold, facet]));
  const top = folds.length > 1 ? 22 : 14;
  for (let i = 0; i < n; i++) {
    const facet = facetOf.get(fold[i]);
    if (!facet) continue;
    const [x0, y0, x1, y1] = bounds[fold[i]];
    const width = facet.width - 28, height = facet.height - top - 14;
    const scale = Math.min(width / (x1 - x0 || 1), height / (y1 - y0 || 1));
    panel.x[i] = facet.x + 14 + width / 2 + (xy[2 * i] - (x0 + x1) / 2) * scale;
    panel.y[i] = facet.y + top + height / 2 - (xy[2 * i + 1] - (y0 + y1) / 2) * scale;
  }
};
const planeX = (value) => 46 + ((value - data.vaMin) / (data.vaMax - data.vaMin)) * (plane.width - 64);
const planeY = (value) => plane.height - 44 - ((value - data.vaMin) / (data.vaMax - data.vaMin)) * (plane.height - 62);
const placePlane = (panel) => {
  const isTruth = state.va === "truth", value = isTruth ? rated : predictedAs;
  for (let i = 0; i < n; i++) {
    const dx = isTruth ? shift(i, 0) : 0, dy = isTruth ? shift(i, 1) : 0;
    panel.x[i] = planeX(value(i, 0) + dx);
    panel.y[i] = planeY(value(i, 1) + dy);
  }
};
const place = (panel) => (panel === map ? placeMap : placePlane)(panel);

// cells of CELL pixels over the panel; the points of cell c are order[start[c]] .. order[start[c + 1] - 1]
const buildIndex = (panel) => {
  const columns = Math.max(1, Math.ceil(panel.width / CELL)), rows = Math.max(1, Math.ceil(panel.height / CELL));
  const cellOf = (i) =>
    Math.min(rows - 1, Math.max(0, Math.floor(panel.y[i] / CELL))) * columns +
    Math.min(columns - 1, Math.max(0, Math.floor(panel.x[i] / CELL)));
  const start = new Int32Array(columns * rows + 1);
  const placed = shown.filter((i) => isPlaced(panel, i));
  for (const i of placed) start[cellOf(i) + 1]++;
  for (let c = 0; c < columns * rows; c++) start[c + 1] += start[c];
  const fill = start.slice(), order = new Int32Array(placed.length);
  for (const i of placed) order[fill[cellOf(i)]++] = i;
  panel.index = { columns, rows, start, order };
};
const nearest = (panel, x, y) => {
  const { columns, rows, start, order } = panel.index;
  const reach = Math.ceil(NEAR / CELL), column = Math.floor(x / CELL), row = Math.floor(y / CELL);
  let best = -1, least = NEAR * NEAR;
  for (let r = Math.max(0, row - reach); r <= Math.min(rows - 1, row + reach); r++) {
    for (let c = Math.max(0, column - reach); c <= Math.min(columns - 1, column + reach); c++) {
      for (let k = start[r * columns + c]; k < start[r * columns + c + 1]; k++) {
        const i = order[k];
        if (state.hasBrush && !inBrush[i]) continue;
        const distance = (panel.x[i] - x) ** 2 + (panel.y[i] - y) ** 2;
        if (distance <= least) { least = distance; best = i; }
      }
    }
  }
  return best;
};
