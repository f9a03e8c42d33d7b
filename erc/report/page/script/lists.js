// Chooses what is shown: row, fold, seed, filters, search; lists, export, and the address that says all of it.

const select = (point, isPlayed = false) => {
  state.selected = point;
  if (point) { cursor = point; $("announce").textContent = `Selected. ${sentence(point)}`; }
  showCard(isPlayed);
  draw();
  remember();
};
const mark = (found) => {
  state.marked = found;
  if (found && state.list !== "marked") setList("marked");
  describe();
  draw();
};
const LISTS = {
  wrong: () => points.filter((point) => point.outcome === 1).sort((a, b) => b.probs[b.predicted] - a.probs[a.predicted]).map((point) => [point, judged(point)]),
  disagree: () => points.filter((point) => point.outcome !== 3).map((point) => [point, entropy(point.votes)]).sort((a, b) => b[1] - a[1])
    .map(([point]) => [point, data.emotions.flatMap((name, k) => (point.votes[k] ? [`${name} ${point.votes[k]}`] : [])).join(", ")]),
  marked: () => shown.filter((point) => state.marked?.has(point)).map((point) => [point, judged(point)]),
};
const setList = (name) => { state.list = name; document.querySelector(`input[name="list"][value="${name}"]`).checked = true; };
const describe = () => {
  const found = LISTS[state.list](), marked = LISTS.marked().map(([point]) => point);
  $("list").replaceChildren(found.length ? listOf(found.slice(0, 20)) : element("p", "None.", { class: "note" }));
  $("count").textContent = `${number(shown.length)} of ${number(points.length)} segments shown.`;
  const scored = marked.filter((point) => point.outcome < 2), right = scored.filter((point) => point.outcome === 0).length;
  const tally = data.emotions.map((name, k) => [name, marked.filter((point) => emotionOf(point) === k).length]).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  $("brushed").textContent = !state.marked ? "" : `${number(marked.length)} marked` + tally.map(([name, count], k) => `${k ? "," : ":"} ${name} ${number(count)}`).join("") +
    (scored.length ? `; ${percent(right / scored.length)} of ${number(scored.length)} untied predicted right.` : ".");
  $("clear").hidden = !state.marked;
  $("save").textContent = `Save the ${state.marked ? "marked" : "shown"} segments as CSV`;
  const run = points[0]?.run;
  $("map-note").textContent = facets.length ? "one map for each fold; each fold has its own space" : `${run.method}; fold ${run.fold}, seed ${run.seed}`;
  const unrated = shown.filter((point) => !onPlane(point, state.plane).every(Number.isFinite)).length;
  if ($("va-note")) $("va-note").textContent = (state.plane === "truth" ? "means of the raters; equal means are moved apart a little" : "as the model predicts") +
    (unrated ? `; ${number(unrated)} without a rating are not shown here` : "");
};
const kinds = { emotions: [emotionOf, [...data.emotions, "no votes"]], outcomes: [(point) => point.outcome, OUTCOMES], corpora: [(point) => point.corpus, data.corpora] };
const update = () => {
  const wanted = (run) => run.row === state.row && run.seed === state.seed && (state.fold === "all" || run.fold === state.fold);
  const found = runs.filter(wanted), columns = Math.ceil(Math.sqrt(found.length));
  // each fold has its own space: they lie beside one another, never over
  found.forEach((run, k) => { run.dx = found.length > 1 ? 8 * (k % columns) : 0; run.dy = found.length > 1 ? -8 * Math.floor(k / columns) : 0; });
  facets = found.length > 1 ? found : [];
  points = found.flatMap((run) => run.points());
  const frequency = new Array(K + 1).fill(0);
  for (const point of points) frequency[emotionOf(point)]++;
  // rare emotions lie above frequent ones
  shown = points.filter((point) => Object.entries(kinds).every(([name, [of]]) => !state.hidden[name].has(of(point))))
    .sort((a, b) => frequency[emotionOf(b)] - frequency[emotionOf(a)]);
  if (state.selected && !points.includes(state.selected)) state.selected = points.find((point) => point.id === state.selected.id) ?? null;
  for (const [name, [of, names]] of Object.entries(kinds)) {
    names.forEach((_, k) => { const count = points.filter((point) => of(point) === k).length, chip = $(name).querySelector(`input[value="${k}"]`)?.parentElement; if (chip) chip.querySelector(".n").textContent = number(count); });
  }
  const words = state.query.toLowerCase();
  if (words) state.marked = new Set(shown.filter(({ id, transcript }) => `${id} ${transcript ?? ""}`.toLowerCase().includes(words)));
  else if (state.marked) state.marked = null;
  if (words) setList("marked"); else if (state.list === "marked") setList("wrong");
  describe(); showCard(false); draw(); remember();
};
const remember = () => {
  const { row, fold, seed, by, plane, query, selected } = state;
  const chosen = new URLSearchParams({ row, fold, seed, by, plane, ...(query && { query }), ...(selected && { segment: selected.id }) });
  for (const [name, hidden] of Object.entries(state.hidden)) if (hidden.size) chosen.set(name, [...hidden].join("."));
  try { history.replaceState(null, "", `#${chosen}`); } catch { /* some browsers forbid it to a page that was opened from a file */ }
};
const save = () => {
  const cell = (value) => { const text = /^[=+\-@\t\r]/.test(value) && isNaN(value) ? `'${value}` : String(value); return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  const header = ["segment_id", "corpus", "row", "fold", "seed", "raters", "outcome", "model", ...data.emotions.map((name) => `votes_${name}`), ...data.emotions.map((name) => `p_${name}`),
    ...data.dimensions, ...data.dimensions.map((name) => `pred_${name}`)];
  const lines = shown.filter((point) => !state.marked || state.marked.has(point)).map((point) => [point.id, data.corpora[point.corpus], point.run.row, point.run.fold, point.run.seed,
    emotionName(point.truth), OUTCOMES[point.outcome], data.emotions[point.predicted], ...point.votes, ...point.probs.map((value) => value.toFixed(4)), ...point.rated, ...point.guessed]);
  const url = URL.createObjectURL(new Blob([[header, ...lines].map((line) => line.map(cell).join(",") + "\n").join("")], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: url, download: "segments.csv" }).click();
  URL.revokeObjectURL(url);
};
