// Shows the selected segment: votes, probabilities, transcript and audio.

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
const showCard = () => {
  const i = state.selected, body = $("card-body");
  $("close").hidden = i < 0;
  if (i < 0) {
    $("card-title").textContent = "No segment selected";
    body.replaceChildren(element("p", "Click a point in either plot, or move to one with the arrow keys and press Enter.", "note"));
    return;
  }
  $("card-title").textContent = ids[i];
  const verdict = element("td", outcomeText(i), CLASSES[outcome[i]]);
  verdict.colSpan = 2;
  const nRaters = votes.subarray(i * K, (i + 1) * K).reduce((sum, count) => sum + count, 0);
  const where = element("td", `${data.corpora[corpus[i]]}, fold ${data.folds[fold[i]].fold}`);
  where.colSpan = 2;
  body.replaceChildren(
    tableOf("Selected segment", ["", "raters", "model"], [
      rowOf("emotion", emotionName(truth[i]) + (tied[i] ? " (tied)" : ""), data.emotions[predicted[i]]),
      ...data.dimensions.map((name, k) =>
        rowOf(name, decimal(rated(i, k), DECIMALS), decimal(predictedAs(i, k), DECIMALS + 1))),
      rowOf("prediction", verdict),
      rowOf("from", where),
    ]),
    tableOf(`Votes of ${nRaters} rater${nRaters === 1 ? "" : "s"}, and probabilities of the model`, ["emotion", "votes", "model"],
      data.emotions.map((_, k) =>
        rowOf(named(k), bar(votes[i * K + k] / (nRaters || 1), votes[i * K + k] || ""), bar(probs[i * K + k], percent(probs[i * K + k]))))),
  );
  if (data.transcripts) {
    const said = element("blockquote", data.transcripts[i]);
    if (data.language) said.lang = data.language;
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
