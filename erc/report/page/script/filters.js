// Filters segments by emotion, outcome and corpus, and counts what is shown.

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
    const counts = new Array(K + 1).fill(0), results = OUTCOMES.map(() => 0);
    for (const i of list) { counts[emotionOf(i)]++; results[outcome[i]]++; }
    const most = counts.map((count, k) => [count, emotionName(k)]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
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
    : "one map for each fold; each fold has its own space";
  if (!plane) return;
  const unplaced = state.va === "truth" ? shown.filter((i) => !isPlaced(plane, i)).length : 0;
  $("va-note").textContent = (state.va === "truth"
    ? `means of the raters; equal means are moved apart by up to ${(SHIFT / 2).toPrecision(1).replace(/^0/, "")}`
    : "as the model predicts") + (unplaced ? `; ${number(unplaced)} without a rating are not shown here` : "");
};
const recount = () => {
  const tally = { emotions: new Array(K + 1).fill(0), outcomes: OUTCOMES.map(() => 0), corpora: data.corpora.map(() => 0) };
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
