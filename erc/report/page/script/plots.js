// Draws the map and the valence-arousal plane with plotly, and answers pointer and keyboard on them.

const panels = [$("map"), $("va")].filter(Boolean);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;"); // plotly reads <b> and <br>
const low = data.ticks[0], high = data.ticks.at(-1), SHIFT = 0.01 * (high - low);
// segments of equal means would hide one another; a segment is always moved alike
const shift = (point, axis) => { const noise = Math.sin(12.9898 * (point.place + 1) + 78.233 * axis) * 43758.5453; return SHIFT * (2 * (noise - Math.floor(noise)) - 1); };
const onPlane = (point, of) => (of === "truth" ? point.rated : point.guessed);
const placeOf = (panel, point) => {
  if (panel === panels[0]) return [point.xy[0] + point.run.dx, point.xy[1] + point.run.dy];
  return [0, 1].map((axis) => onPlane(point, state.plane)[axis] + (state.plane === "truth" ? shift(point, axis) : 0));
};
const textOf = (point) => [`<b>${escaped(point.id)}</b>`, `raters: ${escaped(emotionName(point.truth))}`,
  `model: ${escaped(data.emotions[point.predicted])} ${percent(point.probs[point.predicted])}, ${outcomeText(point)}`,
  ...(point.transcript ? [escaped(point.transcript.slice(0, 60))] : [])].join("<br>");
const traceOf = (panel) => {
  const places = shown.map((point) => placeOf(panel, point)), size = shown.length > 8000 ? 5 : shown.length > 1500 ? 7 : 9;
  return {
    type: "scatter", mode: "markers", hoverinfo: "text", text: shown.map(textOf),
    x: places.map(([x]) => x), y: places.map(([, y]) => y),
    selectedpoints: state.marked && shown.flatMap((point, i) => (state.marked.has(point) ? [i] : [])),
    selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 0.12 } },
    marker: {
      opacity: 0.85, size: shown.map((point) => (point.outcome >= 2 ? 0.6 * size : size)),
      color: shown.map((point) => data.colours[emotionOf(point)] ?? "#6E6E6E"),
      symbol: shown.map((point) => (data.symbols[emotionOf(point)] ?? "circle") + (point.outcome === 1 ? "-open" : "")),
      line: { color: colour("ink"), width: shown.map((point) => (point.outcome === 1 ? 1.6 : point.hasAudio ? 1.2 : 0)) },
    },
  };
};
const ringOf = (panel) => {
  const [x, y] = placeOf(panel, state.selected);
  return { type: "scatter", mode: "markers", hoverinfo: "skip", x: [x], y: [y],
    marker: { symbol: "circle-open", size: 20, color: colour("accent"), line: { width: 3 } } };
};
const arrowOf = ({ rated, guessed }) => ({ x: guessed[0], y: guessed[1], ax: rated[0], ay: rated[1], xref: "x", yref: "y",
  axref: "x", ayref: "y", text: "", arrowhead: 2, arrowwidth: 1.5, arrowcolor: colour("ink") });
let revision = 0; // what is marked is in state.marked, and not what plotly remembers
const layoutOf = (panel) => {
  const axis = { gridcolor: colour("grid"), zeroline: false, linecolor: colour("line"), fixedrange: false };
  const isMap = panel === panels[0], range = [low - 0.2, high + 0.2];
  const hidden = { ...axis, showticklabels: false, showgrid: false };
  const named = (name, side) => ({ ...axis, title: { text: name }, range, tickvals: data.ticks, ...side });
  const annotations = isMap
    ? facets.map(({ fold, dx, dy }) => ({ x: dx - 3, y: dy + 3.2, text: `fold ${fold}`, showarrow: false, xanchor: "left" }))
    : state.selected?.rated.every(Number.isFinite) ? [arrowOf(state.selected)] : [];
  return {
    autosize: true, margin: isMap ? { l: 8, r: 8, t: 30, b: 8 } : { l: 44, r: 8, t: 30, b: 40 }, showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: colour("plot"), font: { color: colour("soft"), size: 12 }, hovermode: "closest",
    hoverlabel: { bgcolor: colour("bg"), bordercolor: colour("soft"), font: { color: colour("ink"), size: 13 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") },
    dragmode: panel.layout?.dragmode ?? (matchMedia("(pointer: coarse)").matches ? false : "select"), selections: [],
    // zoom is kept while other segments of the same picture are shown
    uirevision: `${state.row} ${state.fold} ${state.seed} ${state.plane}`, selectionrevision: ++revision, annotations,
    xaxis: isMap ? hidden : named("valence"), yaxis: isMap ? { ...hidden, scaleanchor: "x" } : named("arousal"),
  };
};
const CONFIG = { responsive: true, displaylogo: false, doubleClick: "reset",
  modeBarButtons: [["select2d", "lasso2d"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]], displayModeBar: true };
const draw = () => {
  for (const panel of panels) {
    const ring = state.selected && shown.includes(state.selected) ? [ringOf(panel)] : [];
    Plotly.react(panel, [traceOf(panel), ...ring], layoutOf(panel), CONFIG);
  }
};

let cursor = null; // the segment that the keyboard is at
const at = (point) => {
  cursor = point;
  $("announce").textContent = sentence(point);
  const pointNumber = shown.indexOf(point);
  for (const panel of panels) Plotly.Fx.hover(panel, [{ curveNumber: 0, pointNumber }]);
};
// the nearest segment in a direction: the nearer, the straighter
const towards = (panel, [dx, dy]) => {
  const width = (axis) => Math.abs(axis.range[1] - axis.range[0]), { xaxis, yaxis } = panel._fullLayout;
  const [x0, y0] = placeOf(panel, cursor);
  let best = null, least = Infinity;
  for (const point of shown) {
    const [x, y] = placeOf(panel, point), u = (x - x0) / width(xaxis), v = (y - y0) / width(yaxis);
    const ahead = u * dx + v * dy, aside = Math.abs(u * dy) + Math.abs(v * dx);
    if (ahead > 0 && ahead >= aside && ahead + 2 * aside < least) { least = ahead + 2 * aside; best = point; }
  }
  return best;
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const KEYS = {
  PageDown: () => at(shown[(shown.indexOf(cursor) + 1) % shown.length]),
  PageUp: () => at(shown.at((shown.indexOf(cursor) - 1) % shown.length)),
  Enter: () => select(cursor, true),
  " ": () => { const kept = new Set(state.marked); if (!kept.delete(cursor)) kept.add(cursor); mark(kept.size ? kept : null); },
  Escape: () => (state.marked ? mark(null) : select(null)),
};
const listen = (panel) => {
  panel.on("plotly_click", ({ points: [one] }) => select(shown[one.pointNumber] ?? null, true));
  panel.on("plotly_selected", (event) => (event?.range || event?.lassoPoints) && mark(new Set(event.points.filter((one) => one.curveNumber === 0).map((one) => shown[one.pointNumber]))));
  panel.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key], isKnown = arrow || KEYS[event.key];
    if (!isKnown || event.target !== panel || !shown.length) return;
    event.preventDefault();
    if (!shown.includes(cursor)) at(state.selected && shown.includes(state.selected) ? state.selected : shown[0]);
    else if (arrow) at(towards(panel, arrow) ?? cursor);
    else KEYS[event.key]();
  });
};
