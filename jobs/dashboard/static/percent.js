// Shares in words, as `otcondense/shares.py` writes them.
const SMALL_GAP = 0.01;
const NOISE_DIGITS = 3;

export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

export function gapText(given) {
  const share = Math.max(0, given);
  const digits = share >= SMALL_GAP ? 1 : 2;
  const scale = 100 * 10 ** digits;
  return percent(Math.ceil(Number((share * scale).toFixed(NOISE_DIGITS))) / scale, digits);
}
