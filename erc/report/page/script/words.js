// Turns numbers into text, and shows the tooltip of the segment under the pointer.

const number = (count) => count.toLocaleString("en");
const DECIMALS = data.vaMax - data.vaMin < 3 ? 2 : 1; // of a rating; of a prediction one more
const decimal = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−").replace(/^(−?)0\./, "$1.") : "–");
const ratedText = (i) => data.dimensions.map((_, k) => decimal(rated(i, k), DECIMALS)).join(" / ");
const predictedText = (i) => data.dimensions.map((_, k) => decimal(predictedAs(i, k), DECIMALS + 1)).join(" / ");
const listed = (names) => [names.slice(0, -1).join(", "), ...names.slice(-1)].filter(Boolean).join(" and ");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const votesText = (i) =>
  data.emotions.map((name, k) => [votes[i * K + k], name]).filter(([count]) => count)
    .sort((a, b) => b[0] - a[0]).map(([count, name]) => `${name} ${count}`).join(", ");
const percent = (value) => `${Math.round(100 * value)} %`;
const outcomeText = (i) => ["right", "wrong", "tied, not scored", "no votes, not scored"][outcome[i]];
const CLASSES = ["right", "wrong", "tied", "tied"]; // of style.css, by outcome
const sentence = (i) =>
  `${ids[i]}. Raters: ${emotionName(truth[i])}. Model: ${data.emotions[predicted[i]]}, ${outcomeText(i)}.` +
  (R ? ` ${capital(listed(data.dimensions))} ${ratedText(i)}, predicted ${predictedText(i)}.` : "");
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
    line("raters", emotionName(truth[i]) + (tied[i] ? " (tied)" : "")),
    line("model", `${data.emotions[predicted[i]]} ${percent(probs[i * K + predicted[i]])}, `),
    ...(R ? [line(data.dimensions.join(" / "), `${ratedText(i)}, model ${predictedText(i)}`)] : []),
  ];
  rows[3].append(element("span", outcomeText(i), CLASSES[outcome[i]]));
  if (data.transcripts) {
    const said = line("says", data.transcripts[i]);
    if (data.language) said.lang = data.language;
    rows.push(said);
  }
  tip.replaceChildren(...rows);
  tip.hidden = false;
  const box = panel.box.getBoundingClientRect();
  const x = box.left + (isPlaced(panel, i) ? panel.x[i] : 0), y = box.top + (isPlaced(panel, i) ? panel.y[i] : 0);
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
