// Plays a segment: mu-law bytes of #audio become a wav in memory.

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
