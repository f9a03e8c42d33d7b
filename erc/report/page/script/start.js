// Connects the controls, takes up the state of the address, and draws for the first time.

const asked = new URLSearchParams(location.hash.slice(1));
const take = (name, list, otherwise) => { state[name] = list.find((value) => String(value) === asked.get(name)) ?? otherwise; };
take("row", distinct(runs.map((run) => run.row)), state.row);
take("seed", distinct(runs.map((run) => run.seed)), runs[0].seed);
take("fold", ["all", ...distinct(runs.map((run) => run.fold))], state.fold);
for (const name of ["row", "fold", "seed"]) {
  $(name).value = state[name];
  $(name).addEventListener("change", () => { state[name] = name === "row" || $(name).value === "all" ? $(name).value : +$(name).value; update(); });
}
const radios = (name, onChange) => document.querySelectorAll(`input[name="${name}"]`).forEach((input) => {
  input.checked = input.value === state[name];
  input.addEventListener("change", () => { state[name] = input.value; onChange(); });
});
take("by", ["truth", "prediction"], "truth");
take("plane", ["truth", "prediction"], "truth");
radios("by", () => update());
radios("plane", () => update());
radios("list", () => describe());
for (const name of Object.keys(kinds)) {
  state.hidden[name] = new Set((asked.get(name) ?? "").split(".").filter(Boolean).map(Number));
  for (const input of $(name).querySelectorAll("input")) {
    input.checked = !state.hidden[name].has(+input.value);
    input.addEventListener("change", () => { state.hidden[name][input.checked ? "delete" : "add"](+input.value); update(); });
  }
}
for (const id of ["all", "none"]) $(id).addEventListener("click", () => {
  state.hidden.emotions = new Set(id === "all" ? [] : Array(K + 1).keys());
  for (const input of $("emotions").querySelectorAll("input")) input.checked = id === "all";
  update();
});
state.query = $("search").value = asked.get("query") ?? "";
$("search").addEventListener("input", () => { state.query = $("search").value.trim(); update(); });
$("clear").addEventListener("click", () => { state.query = $("search").value = ""; state.marked = null; update(); });
$("save").addEventListener("click", save);
$("close").addEventListener("click", () => { select(null); panels[0].focus(); });
$("app").hidden = false;
update();
panels.forEach(listen);
const first = points.find((point) => point.id === asked.get("segment"));
if (first) select(first);
performance.mark("map-drawn");

// for tests: where a shown segment is in the window, and what is shown
window.report = Object.freeze({
  at: (name, i) => {
    const { xaxis, yaxis } = $(name)._fullLayout, box = $(name).getBoundingClientRect(), [x, y] = placeOf($(name), shown[i]);
    return { x: box.left + xaxis._offset + xaxis.l2p(x), y: box.top + yaxis._offset + yaxis.l2p(y) };
  },
  shown: () => shown.map(({ id }) => id), marked: () => shown.filter((point) => state.marked?.has(point)).map(({ id }) => id),
  state: () => ({ ...state, selected: state.selected?.id ?? null, marked: null, hidden: null, at: cursor?.id ?? null }),
});
