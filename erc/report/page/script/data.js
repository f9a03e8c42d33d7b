// Unpacks #data into flat arrays, one entry or more a segment, and holds what the reader has chosen.
// A segment is an index 0..n-1 into these arrays. Text goes into the page by textContent only.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const TYPES = { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array };
const NEAR = 14; // CSS pixels: how far the pointer may be from a point
const CELL = 16; // CSS pixels: side of a cell of the index for the nearest point
const DRAG = 4; // CSS pixels: a shorter movement is a click

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
const K = data.emotions.length; // also the truth of a segment that nobody voted on
const R = data.dimensions.length;
const OUTCOMES = ["right", "wrong", "tied", ...(truth.includes(K) ? ["no votes"] : [])];
const outcome = Uint8Array.from(truth, (label, i) => (label === K ? 3 : tied[i] ? 2 : label === predicted[i] ? 0 : 1));
const emotionName = (k) => data.emotions[k] ?? "no votes";
// rating of a dimension by the raters and by the model; NaN where there is none
const rated = (i, dimension) => va[2 * R * i + dimension];
const predictedAs = (i, dimension) => va[2 * R * i + R + dimension];

const state = {
  fold: 0, // index into data.folds, -1 for all
  by: "truth",
  va: "truth",
  emotions: new Uint8Array(K + 1).fill(1),
  corpora: new Uint8Array(data.corpora.length).fill(1),
  outcomes: new Uint8Array(OUTCOMES.length).fill(1),
  hover: -1,
  selected: -1,
  hasBrush: false,
};
const inBrush = new Uint8Array(n);
const isShown = new Uint8Array(n);
let shown = new Int32Array(0);
const emotionOf = (i) => (state.by === "truth" ? truth[i] : predicted[i]);
const inFold = (i) => state.fold < 0 || fold[i] === state.fold;
