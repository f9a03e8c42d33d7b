// Unpacks #data: one object for each segment of a run, and what the reader has chosen. Text goes into the page by textContent only.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const K = data.emotions.length; // also the truth of a segment that nobody voted on
const OUTCOMES = ["right", "wrong", "tied", "no votes"];
const TYPES = { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
const unpack = ({ type, data: text }) => new TYPES[type](Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
const part = (array, i, width) => array.subarray(i * width, (i + 1) * width);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const entropy = (votes) => -sum(Array.from(votes, (count) => (count ? (count / sum(votes)) * Math.log(count / sum(votes)) : 0)));
const lazily = (make) => { let made; return () => (made ??= make()); };

// the audio of all segments, a line each, behind the script in the file
const audioLines = lazily(() => $("audio").textContent.split("\n"));
let before = 0;
const tables = data.segments.map((one) => {
  const first = before, ids = one.ids.split("\n");
  before += ids.length;
  return lazily(() => {
    const [corpus, truth, tied, votes, rated] = ["corpus", "truth", "tied", "votes", "rated"].map((name) => unpack(one[name]));
    return ids.map((id, i) => ({
      id, corpus: corpus[i], truth: truth[i], tied: tied[i], votes: part(votes, i, K),
      rated: part(rated, i, data.dimensions.length), transcript: one.transcripts?.[i],
      hasAudio: one.hasAudio?.[i] === "1", audio: () => audioLines()[first + i],
    }));
  });
});
const runs = data.runs.map((run) => Object.assign(run, {
  points: lazily(() => {
    const [xy, probs, predicted, guessed, neighbours] = ["xy", "probs", "predicted", "guessed", "neighbours"].map((name) => unpack(run[name]));
    const segments = tables[run.segments](), width = neighbours.length / segments.length;
    const points = segments.map((segment, i) => ({
      ...segment, run, place: i, xy: part(xy, i, 2), probs: Array.from(part(probs, i, K), (value) => value / 65535),
      predicted: predicted[i], guessed: part(guessed, i, data.dimensions.length),
      outcome: segment.truth === K ? 3 : segment.tied ? 2 : segment.truth === predicted[i] ? 0 : 1,
    }));
    points.forEach((point, i) => { point.neighbours = Array.from(part(neighbours, i, width), (k) => points[k]); });
    return points;
  }),
}));

const distinct = (values) => [...new Set(values)];
const state = { row: data.row, fold: runs.find((run) => run.row === data.row).fold, seed: null, by: "truth", plane: "truth",
  hidden: { emotions: new Set(), outcomes: new Set(), corpora: new Set() }, list: "wrong", query: "", marked: null, selected: null };
const emotionOf = (point) => (state.by === "truth" ? point.truth : point.predicted);
const emotionName = (k) => data.emotions[k] ?? "no votes";
let points = [], shown = [], facets = [];
