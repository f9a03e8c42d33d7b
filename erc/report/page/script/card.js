// Turns numbers into text, and shows the selected segment: votes, probabilities, transcript, audio, neighbours.

const number = (count) => count.toLocaleString("en");
const percent = (value) => `${Math.round(100 * value)} %`;
const DECIMALS = high - low < 3 ? 2 : 1; // of a rating; of a prediction one more
const decimal = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−").replace(/^(−?)0\./, "$1.") : "–");
const outcomeText = ({ outcome }) => ["right", "wrong", "tied, not scored", "no votes, not scored"][outcome];
const sentence = (point) => `${point.id}. Raters: ${emotionName(point.truth)}. Model: ${data.emotions[point.predicted]}, ${outcomeText(point)}.` +
  data.dimensions.map((name, k) => ` ${name} ${decimal(point.rated[k], DECIMALS)}, predicted ${decimal(point.guessed[k], DECIMALS + 1)}.`).join("");
const element = (tag, text, attributes = {}) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.append(text);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};
const glyph = (k) => {
  const made = element("span", data.glyphs[k] ?? "●", { class: "glyph", "aria-hidden": "true" });
  made.style.color = data.colours[k] ?? "#6E6E6E";
  return made;
};
const tableOf = (caption, header, rows) => {
  const table = element("table"), body = table.createTBody(), head = table.createTHead().insertRow();
  table.createCaption().textContent = caption;
  table.caption.className = "unseen";
  for (const text of header) head.append(text ? element("th", text, { scope: "col" }) : element("td"));
  for (const [name, ...cells] of rows) {
    const row = body.insertRow();
    row.append(element("th", name, { scope: "row" }), ...cells.map((cell) => element("td", cell)));
  }
  return table;
};
const bar = (share, text) => {
  const made = element("span", undefined, { class: "barcell" }), block = element("span", undefined, { class: "bar" });
  block.style.width = `${share > 0 ? Math.max(1, Math.round(42 * share)) : 0}px`;
  made.append(block, String(text));
  return made;
};
const named = (k) => { const made = element("span", undefined, { class: "name" }); made.append(glyph(k), data.emotions[k]); return made; };
const goTo = (point, text) => {
  const button = element("button", text, { type: "button", class: "goto" });
  button.prepend(glyph(point.truth), " ");
  button.addEventListener("click", () => select(point, true));
  return button;
};
const listOf = (found) => { const list = element("ol"); for (const [point, text] of found) { const item = element("li"); item.append(goTo(point, `${point.id}: ${text}`)); list.append(item); } return list; };
const judged = (point) => `${emotionName(point.truth)}, model ${data.emotions[point.predicted]} ${percent(point.probs[point.predicted])}`;
const playerOf = (point) => {
  if (!point.hasAudio) return element("p", "This segment's audio is not in the page: the limit for audio was reached (--max-audio-mb raises it).", { class: "note" });
  return element("audio", undefined, { controls: "", src: `data:audio/mpeg;base64,${point.audio()}`, "aria-label": `Audio of ${point.id}` });
};
const showCard = (isPlayed) => {
  const point = state.selected, body = $("card-body");
  $("card").classList.toggle("open", Boolean(point));
  $("close").hidden = !point;
  $("card-title").textContent = point ? point.id : "No segment selected";
  if (!point) return body.replaceChildren(element("p", "Click a point in either plot, choose one of the list, or move to one with the arrow keys and press Enter.", { class: "note" }));
  const n = sum(point.votes);
  const parts = [
    element("p", `${outcomeText(point)}; ${data.corpora[point.corpus]}, fold ${point.run.fold}, seed ${point.run.seed}`, { class: OUTCOMES[point.outcome] }),
    tableOf("Raters and model", ["", "raters", "model"], [
      ["emotion", emotionName(point.truth) + (point.tied ? " (tied)" : ""), data.emotions[point.predicted]],
      ...data.dimensions.map((name, k) => [name, decimal(point.rated[k], DECIMALS), decimal(point.guessed[k], DECIMALS + 1)]),
    ]),
    tableOf(`Votes of ${n} rater${n === 1 ? "" : "s"}, and probabilities of the model`, ["emotion", "votes", "model"],
      data.emotions.map((_, k) => [named(k), bar(point.votes[k] / (n || 1), point.votes[k] || ""), bar(point.probs[k], percent(point.probs[k]))])),
  ];
  if (point.transcript !== undefined) parts.splice(1, 0, element("blockquote", point.transcript, data.language ? { lang: data.language } : {}), playerOf(point));
  if (!shown.includes(point)) parts.push(element("p", "Not among the segments shown: a filter leaves it out.", { class: "note" }));
  if (point.neighbours.length) parts.push(element("h4", "Nearest in the model's space"), listOf(point.neighbours.map((one) => [one, judged(one)])));
  body.replaceChildren(...parts);
  if (isPlayed) body.querySelector("audio")?.play().catch(() => {}); // a browser may want another click first
};
