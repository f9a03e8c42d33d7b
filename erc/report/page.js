"use strict";
// The embedding map beside the valence-arousal plane: plain canvas, no library, no network.
// Segments are indices 0..n-1 into the packed arrays of #data. Text goes into the page by textContent only.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const TYPES = { float32: Float32Array, uint8: Uint8Array };
  const NEAR = 14; // CSS pixels: how far the pointer may be from a point
  const CELL = 16; // CSS pixels: side of a cell of the index for the nearest point
  const DRAG = 4; // CSS pixels: a shorter movement is a click
  const OUTCOMES = ["right", "wrong", "tied"];

  const unpack = ({ type, data: text }) => {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
    return new TYPES[type](bytes.buffer);
  };
  const { xy, va, votes, probs, truth, predicted, tied, corpus, fold } = Object.fromEntries(
    Object.entries(data.arrays).map(([name, packed]) => [name, unpack(packed)]),
  );
  const ids = data.ids.split("\n");
  const n = ids.length;
  const K = data.emotions.length;
  const outcome = Uint8Array.from(truth, (label, i) => (tied[i] ? 2 : label === predicted[i] ? 0 : 1));

  const state = {
    fold: 0, // index into data.folds, -1 for all
    by: "truth",
    va: "truth",
    emotions: new Uint8Array(K).fill(1),
    corpora: new Uint8Array(data.corpora.length).fill(1),
    outcomes: new Uint8Array(3).fill(1),
    hover: -1,
    selected: -1,
    hasBrush: false,
  };
  const inBrush = new Uint8Array(n);
  const isShown = new Uint8Array(n);
  let shown = new Int32Array(0);
  const emotionOf = (i) => (state.by === "truth" ? truth[i] : predicted[i]);
  const inFold = (i) => state.fold < 0 || fold[i] === state.fold;

  // ---- glyphs ------------------------------------------------------------------------------------------------
  const POLYGONS = {
    square: [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
    diamond: [[0, -1.15], [1.05, 0], [0, 1.15], [-1.05, 0]],
    up: [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
    down: [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
    plus: [[-0.4, -1.05], [0.4, -1.05], [0.4, -0.4], [1.05, -0.4], [1.05, 0.4], [0.4, 0.4], [0.4, 1.05], [-0.4, 1.05],
      [-0.4, 0.4], [-1.05, 0.4], [-1.05, -0.4], [-0.4, -0.4]],
  };
  POLYGONS.cross = POLYGONS.plus.map(([a, b]) => [(a - b) * 0.75, (a + b) * 0.75]);
  const outline = (context, shape, x, y, r) => {
    context.beginPath();
    if (shape === "circle") context.arc(x, y, r * 0.95, 0, 7);
    else for (const [a, b] of POLYGONS[shape]) context.lineTo(x + a * r, y + b * r);
    context.closePath();
  };
  // right: filled; wrong: hollow; tied, hence not scored: small
  const glyph = (context, emotion, kind, x, y, r, colours) => {
    outline(context, data.shapes[emotion], x, y, kind === 2 ? r * 0.62 : r);
    context.lineJoin = "round";
    if (kind === 1) {
      const width = Math.max(1.2, r * 0.38);
      if (r >= 3) {
        context.strokeStyle = colours.edge;
        context.lineWidth = width + 0.9;
        context.stroke();
      }
      context.strokeStyle = data.colours[emotion];
      context.lineWidth = width;
      context.stroke();
      return;
    }
    context.fillStyle = data.colours[emotion];
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

  // ---- the two plots -----------------------------------------------------------------------------------------
  const makePanel = (name) => {
    const box = $(name);
    const [base, over] = box.querySelectorAll("canvas");
    return {
      name, box, base: base.getContext("2d"), over: over.getContext("2d"), layer: makeCanvas(1, 1).getContext("2d"),
      x: new Float32Array(n), y: new Float32Array(n), width: 0, height: 0, rect: null, facets: [],
    };
  };
  const map = makePanel("map");
  const plane = makePanel("va");
  const panels = [map, plane];
  const other = (panel) => (panel === map ? plane : map);
  // the same shift for a segment every time: equal means of ten raters would hide one another
  const shift = (i, axis) => {
    let h = Math.imul(2 * i + axis + 1, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (((h ^ (h >>> 16)) >>> 0) / 4294967296 - 0.5) * 0.08;
  };

  const bounds = data.folds.map(() => [Infinity, Infinity, -Infinity, -Infinity]);
  for (let i = 0; i < n; i++) {
    const b = bounds[fold[i]];
    b[0] = Math.min(b[0], xy[2 * i]); b[1] = Math.min(b[1], xy[2 * i + 1]);
    b[2] = Math.max(b[2], xy[2 * i]); b[3] = Math.max(b[3], xy[2 * i + 1]);
  }
  // one cell per fold: every fold has an embedding space of its own, and they are never laid over each other
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
    const at = state.va === "truth" ? 0 : 2;
    for (let i = 0; i < n; i++) {
      const dx = at ? 0 : shift(i, 0), dy = at ? 0 : shift(i, 1);
      panel.x[i] = planeX(va[4 * i + at] + dx);
      panel.y[i] = planeY(va[4 * i + at + 1] + dy);
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
    for (const i of shown) start[cellOf(i) + 1]++;
    for (let c = 0; c < columns * rows; c++) start[c + 1] += start[c];
    const fill = start.slice(), order = new Int32Array(shown.length);
    for (const i of shown) order[fill[cellOf(i)]++] = i;
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

  // ---- drawing -----------------------------------------------------------------------------------------------
  const radius = (panel) => {
    const count = shown.length / (panel.facets.length > 1 ? 0.5 : 1);
    const r = count > 12000 ? 2.1 : count > 4000 ? 2.7 : count > 1200 ? 3.4 : count > 400 ? 4.2 : 5;
    return panel.width < 420 ? Math.max(2, r * 0.85) : r;
  };
  let stamps = {};
  const stampsOf = (r) => {
    const scale = ratio();
    return (stamps[`${r}/${scale}`] ??= Array.from({ length: K * 3 }, (_, k) => {
      const side = Math.ceil((2 * r * 1.2 + 3) * scale);
      const canvas = makeCanvas(side, side), context = canvas.getContext("2d");
      context.setTransform(scale, 0, 0, scale, side / 2, side / 2);
      glyph(context, Math.floor(k / 3), k % 3, 0, 0, r, theme());
      return canvas;
    }));
  };
  const stampAll = (panel, context, indices) => {
    const sprites = stampsOf(radius(panel)), scale = ratio();
    const half = sprites[0].width / 2;
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const i of indices) {
      const k = emotionOf(i) * 3 + outcome[i];
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
    for (let value = data.vaMin; value <= data.vaMax; value++) {
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
    context.fillText("valence (1 negative, 5 positive)", (planeX(1) + planeX(5)) / 2, panel.height - 8);
    context.save();
    context.translate(14, (planeY(1) + planeY(5)) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText("arousal (1 calm, 5 excited)", 0, 0);
    context.restore();
  };
  const clear = (context) => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  };
  // a page that is loaded in the background has no width yet; ResizeObserver draws it when it has
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
  // from where the raters put the segment to where the model does
  const tie = (i, colour) => {
    const context = plane.over;
    const [x0, y0, x1, y1] = [planeX(va[4 * i]), planeY(va[4 * i + 1]), planeX(va[4 * i + 2]), planeY(va[4 * i + 3])];
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

  // ---- words -------------------------------------------------------------------------------------------------
  const number = (count) => count.toLocaleString("en");
  const twoOf = (i, at) => `${va[4 * i + at].toFixed(1)} / ${va[4 * i + at + 1].toFixed(1)}`;
  const predictedVa = (i) => `${va[4 * i + 2].toFixed(2)} / ${va[4 * i + 3].toFixed(2)}`;
  const votesText = (i) =>
    data.emotions.map((name, k) => [votes[i * K + k], name]).filter(([count]) => count)
      .sort((a, b) => b[0] - a[0]).map(([count, name]) => `${name} ${count}`).join(", ");
  const percent = (value) => `${Math.round(100 * value)} %`;
  const outcomeText = (i) => ["right", "wrong", "tied, not scored"][outcome[i]];
  const sentence = (i) =>
    `${ids[i]}. Raters: ${data.emotions[truth[i]]}. Model: ${data.emotions[predicted[i]]}, ${outcomeText(i)}. ` +
    `Valence and arousal ${twoOf(i, 0)}, predicted ${predictedVa(i)}.`;
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const line = (label, text, className) => {
    const made = element("div");
    made.append(element("i", `${label} `), className ? element("span", text, className) : text);
    return made;
  };
  const tip = $("tip");
  const showTip = (i, panel) => {
    const rows = [
      element("b", ids[i]),
      line("votes", votesText(i)),
      line("raters", data.emotions[truth[i]] + (tied[i] ? " (tied)" : "")),
      line("model", `${data.emotions[predicted[i]]} ${percent(probs[i * K + predicted[i]])}, `),
      line("valence / arousal", `${twoOf(i, 0)}, model ${predictedVa(i)}`),
    ];
    rows[3].append(element("span", outcomeText(i), OUTCOMES[outcome[i]]));
    if (data.transcripts) {
      const said = line("says", data.transcripts[i]);
      said.lang = "ko";
      rows.push(said);
    }
    tip.replaceChildren(...rows);
    tip.hidden = false;
    const box = panel.box.getBoundingClientRect();
    const x = box.left + panel.x[i], y = box.top + panel.y[i];
    const width = tip.offsetWidth, height = tip.offsetHeight, room = document.documentElement.clientWidth;
    let left = x + 16 + width > room - 6 ? x - 16 - width : x + 16;
    left = Math.max(6, Math.min(left, room - width - 6));
    const narrow = room < 700; // beside the point there is no room: above it, or below
    let top = narrow ? y - height - 16 : y + 14;
    if (top < 6) top = y + 18;
    if (!narrow && top + height > window.innerHeight - 6) top = Math.max(6, y - height - 14);
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${top + window.scrollY}px`;
  };
  const setHover = (i, panel, aloud = false) => {
    if (i === state.hover && !aloud) return;
    state.hover = i;
    if (i < 0) tip.hidden = true;
    else showTip(i, panel);
    drawOver();
    if (aloud && i >= 0) $("announce").textContent = sentence(i);
  };

  // ---- the card ----------------------------------------------------------------------------------------------
  const rowOf = (label, ...cells) => {
    const row = element("tr"), head = element("th");
    head.scope = "row";
    head.append(label);
    row.append(head, ...cells.map((cell) => {
      if (cell instanceof Node) return cell;
      return element("td", cell);
    }));
    return row;
  };
  const tableOf = (caption, header, rows) => {
    const table = element("table"), body = element("tbody");
    table.append(element("caption", caption, "unseen"));
    const head = element("thead"), row = element("tr");
    row.append(...header.map((text) => Object.assign(element("th", text), { scope: "col" })));
    head.append(row);
    body.append(...rows);
    table.append(head, body);
    return table;
  };
  const bar = (share, text) => {
    const cell = element("td", undefined, "barcell"), block = element("span", undefined, "bar");
    block.style.width = `${Math.max(share > 0 ? 1 : 0, Math.round(42 * share))}px`;
    cell.append(block, text);
    return cell;
  };
  const named = (emotion) => {
    const made = element("span", undefined, "name");
    made.append(legendGlyph(emotion, 0), data.emotions[emotion]);
    return made;
  };
  let audioLines = null, audioUrl = null;
  // G.711 mu-law bytes -> a 16-bit wav, which every browser plays
  const wavOf = (bytes) => {
    const view = new DataView(new ArrayBuffer(44 + 2 * bytes.length));
    const text = (at, letters) => [...letters].forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
    text(0, "RIFF"); view.setUint32(4, 36 + 2 * bytes.length, true); text(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, data.sampleRate, true); view.setUint32(28, 2 * data.sampleRate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    text(36, "data"); view.setUint32(40, 2 * bytes.length, true);
    for (let k = 0; k < bytes.length; k++) {
      const code = ~bytes[k] & 255;
      const size = (((code & 15) << 3) + 132 << ((code >> 4) & 7)) - 132;
      view.setInt16(44 + 2 * k, code & 128 ? -size : size, true);
    }
    return new Blob([view], { type: "audio/wav" });
  };
  const playerOf = (i) => {
    if (document.readyState === "loading") return element("p", "The audio is still being read; select again.", "note");
    audioLines ??= $("audio").textContent.split("\n");
    const packed = audioLines[i];
    if (!packed) return element("p", "This segment's audio is not in the page: the limit for audio was reached (--max-audio-mb raises it).", "note");
    if (audioUrl) URL.revokeObjectURL(audioUrl);
    audioUrl = URL.createObjectURL(wavOf(unpack({ type: "uint8", data: packed })));
    const player = Object.assign(element("audio"), { controls: true, src: audioUrl });
    player.setAttribute("aria-label", `Audio of ${ids[i]}`);
    return player;
  };
  const showCard = () => {
    const i = state.selected, body = $("card-body");
    $("close").hidden = i < 0;
    if (i < 0) {
      $("card-title").textContent = "No segment selected";
      body.replaceChildren(element("p", "Click a point in either plot, or move to one with the arrow keys and press Enter.", "note"));
      return;
    }
    $("card-title").textContent = ids[i];
    const verdict = element("td", outcomeText(i), OUTCOMES[outcome[i]]);
    verdict.colSpan = 2;
    const where = element("td", `${data.corpora[corpus[i]]}, fold ${data.folds[fold[i]].fold}`);
    where.colSpan = 2;
    body.replaceChildren(
      tableOf("Selected segment", ["", "raters", "model"], [
        rowOf("emotion", data.emotions[truth[i]] + (tied[i] ? " (tied)" : ""), data.emotions[predicted[i]]),
        rowOf("valence", va[4 * i].toFixed(1), va[4 * i + 2].toFixed(2)),
        rowOf("arousal", va[4 * i + 1].toFixed(1), va[4 * i + 3].toFixed(2)),
        rowOf("prediction", verdict),
        rowOf("from", where),
      ]),
      tableOf(`Votes of ${data.raters} raters, and probabilities of the model`, ["emotion", "votes", "model"],
        data.emotions.map((_, k) =>
          rowOf(named(k), bar(votes[i * K + k] / data.raters, votes[i * K + k] || ""), bar(probs[i * K + k], percent(probs[i * K + k]))))),
    );
    if (data.transcripts) {
      const said = element("blockquote", data.transcripts[i]);
      said.lang = "ko";
      body.append(said);
    }
    if (data.hasAudio) body.append(playerOf(i));
    if (!isShown[i]) body.append(element("p", "Not among the segments shown: a filter leaves it out.", "note"));
  };
  const select = (i) => {
    state.selected = i;
    showCard();
    drawOver();
    if (i >= 0) $("announce").textContent = `Selected. ${sentence(i)}`;
  };
  const step = (by) => {
    const list = state.hasBrush ? shown.filter((i) => inBrush[i]) : shown;
    if (!list.length) return -1;
    const at = list.indexOf(state.hover >= 0 ? state.hover : state.selected);
    return at < 0 ? list[by > 0 ? 0 : list.length - 1] : list[(at + by + list.length) % list.length];
  };

  // ---- filters -----------------------------------------------------------------------------------------------
  const counters = {};
  const chips = (id, names, flags, kindOf) => {
    counters[id] = names.map((name, k) => {
      const label = element("label", undefined, "chip"), input = element("input"), count = element("span", "", "n");
      input.type = "checkbox";
      input.checked = true;
      input.dataset.value = name;
      input.addEventListener("change", () => { flags[k] = input.checked ? 1 : 0; update(); });
      label.append(input, ...kindOf(k), element("span", name), count);
      $(id).append(label);
      return { input, count };
    });
  };
  const describe = () => {
    const inTheFold = state.fold < 0 ? n : data.folds[state.fold].n;
    $("count").textContent = `${number(shown.length)} of ${number(inTheFold)} segments shown.`;
    const list = state.hasBrush ? shown.filter((i) => inBrush[i]) : [];
    let text = "";
    if (state.hasBrush) {
      const counts = new Array(K).fill(0), results = [0, 0, 0];
      for (const i of list) { counts[emotionOf(i)]++; results[outcome[i]]++; }
      const most = counts.map((count, k) => [count, data.emotions[k]]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
      const scored = results[0] + results[1];
      text = `${number(list.length)} in the rectangle` + (list.length ? `: ${most.map(([count, name]) => `${name} ${number(count)}`).join(", ")}` : "") +
        (scored ? `; ${percent(results[0] / scored)} of ${number(scored)} untied predicted right.` : ".");
    }
    $("brushed").textContent = text;
    $("clear").hidden = !state.hasBrush;
    $("previous").disabled = $("next").disabled = !shown.length;
    for (const panel of panels) {
      panel.box.setAttribute("aria-label", `${panel === map ? "Embedding map" : "Valence-arousal plane"}, ${number(shown.length)} segments shown`);
    }
    const one = data.folds[state.fold];
    $("map-note").textContent = one
      ? `${one.method}; fold ${one.fold}, seed ${one.seed}`
      : "one map per fold, each a space of its own";
    $("va-note").textContent = state.va === "truth"
      ? "means of the raters; equal ones set apart by up to .04"
      : "as the model predicts";
  };
  const recount = () => {
    const tally = { emotions: new Array(K).fill(0), outcomes: [0, 0, 0], corpora: data.corpora.map(() => 0) };
    for (let i = 0; i < n; i++) {
      if (!inFold(i)) continue;
      tally.emotions[emotionOf(i)]++; tally.outcomes[outcome[i]]++; tally.corpora[corpus[i]]++;
    }
    for (const [id, counts] of Object.entries(tally)) counters[id].forEach(({ count }, k) => { count.textContent = number(counts[k]); });
  };
  const update = () => {
    let found = 0;
    const list = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      isShown[i] = inFold(i) && state.emotions[emotionOf(i)] && state.outcomes[outcome[i]] && state.corpora[corpus[i]] ? 1 : 0;
      if (isShown[i]) list[found++] = i;
    }
    shown = list.slice(0, found);
    if (state.hover >= 0 && !isShown[state.hover]) setHover(-1);
    panels.forEach(redraw);
    drawOver();
    recount();
    describe();
    showCard();
  };

  // ---- rectangle ---------------------------------------------------------------------------------------------
  const applyBrush = (panel, rect) => {
    const { x0, y0, x1, y1 } = rect;
    other(panel).rect = null;
    panel.rect = rect;
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

  // ---- pointer and keys --------------------------------------------------------------------------------------
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
      const hasStart = current >= 0 && isShown[current];
      const x = hasStart ? panel.x[current] : panel.width / 2, y = hasStart ? panel.y[current] : panel.height / 2;
      let best = -1, least = Infinity;
      for (const i of shown) {
        if (i === current || (state.hasBrush && !inBrush[i])) continue;
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
        const centre = current >= 0 && isShown[current] ? { x: panel.x[current], y: panel.y[current] } : { x: panel.width / 2, y: panel.height / 2 };
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

  // ---- controls ----------------------------------------------------------------------------------------------
  chips("emotions", data.emotions, state.emotions, (k) => [legendGlyph(k, 0)]);
  const neutral = Math.max(0, data.emotions.indexOf("neutral"));
  chips("outcomes", OUTCOMES, state.outcomes, (k) => [legendGlyph(neutral, k)]);
  chips("corpora", data.corpora, state.corpora, () => []);
  const emotionsTo = (value) => {
    state.emotions.fill(value);
    counters.emotions.forEach(({ input }) => { input.checked = value === 1; });
    update();
  };
  $("all").addEventListener("click", () => emotionsTo(1));
  $("none").addEventListener("click", () => emotionsTo(0));
  $("clear").addEventListener("click", clearBrush);
  for (const [k, one] of data.folds.entries()) $("fold").append(new Option(`fold ${one.fold}: ${number(one.n)} segments`, k));
  if (data.folds.length > 1) $("fold").append(new Option(`all folds: ${number(n)} segments`, -1));
  $("fold").value = 0; // a reload may bring back another one
  $("fold").addEventListener("change", () => {
    state.fold = +$("fold").value;
    clearBrush();
    setHover(-1);
    if (state.selected >= 0 && !inFold(state.selected)) state.selected = -1;
    update();
  });
  for (const name of ["by", "va"]) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
      input.checked = input.value === "truth";
      input.addEventListener("change", () => {
        state[name] = input.value;
        if (name === "va") plane.rect = null; // its segments stay marked, where they lie now
        update();
      });
    }
  }
  $("touch").addEventListener("click", () => {
    drawsByTouch = !drawsByTouch;
    $("touch").setAttribute("aria-pressed", drawsByTouch);
    panels.forEach((panel) => panel.box.classList.toggle("drawing", drawsByTouch));
  });
  $("previous").addEventListener("click", () => { state.hover = -1; tip.hidden = true; select(step(-1)); });
  $("next").addEventListener("click", () => { state.hover = -1; tip.hidden = true; select(step(1)); });
  $("close").addEventListener("click", () => { select(-1); $("next").focus(); });

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
  // a browser may forbid storage to a page that is opened from a file
  const store = (name, value) => { try { if (value === undefined) return localStorage.getItem(name); localStorage.setItem(name, value); } catch { /* not kept */ } return null; };
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    store("erc-theme", document.documentElement.dataset.theme);
    paintTheme();
  });
  system.addEventListener("change", paintTheme);

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
})();
