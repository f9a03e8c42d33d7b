// Connects the controls above the plots and on the card.

chips("emotions", data.emotions, state.emotions, (k) => [legendGlyph(k, 0)]);
const plain = Math.max(0, data.shapes.indexOf("circle")); // the emotion whose marker stands for all
chips("outcomes", OUTCOMES, state.outcomes, (k) => [legendGlyph(k === 3 ? K : plain, k)]);
chips("corpora", data.corpora, state.corpora, () => []);
const emotionsTo = (value) => {
  state.emotions.fill(value, 0, K);
  counters.emotions.forEach(({ input }) => { input.checked = value === 1; });
  update();
};
$("all").addEventListener("click", () => emotionsTo(1));
$("none").addEventListener("click", () => emotionsTo(0));
$("clear").addEventListener("click", clearBrush);
for (const [k, one] of data.folds.entries()) $("fold").append(new Option(`fold ${one.fold}: ${number(one.n)} segments`, k));
if (data.folds.length > 1) $("fold").append(new Option(`all folds: ${number(n)} segments`, -1));
$("fold").value = 0; // after a reload some browsers restore another choice
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
      if (name === "va") plane.rect = null; // the marked segments stay marked at their new places
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
