// SHA-256 (FIPS 180-4): by the browser where it offers that (secure pages), else here.

/** Hexadecimal digest. */
export async function sha256(data: ArrayBuffer): Promise<string> {
  const subtle = globalThis.crypto?.subtle;
  const digest = subtle
    ? new Uint8Array(await subtle.digest("SHA-256", data))
    : sha256Here(new Uint8Array(data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const K = new Uint32Array(64);
/** The same of the square roots of the first 8. */
const H = new Uint32Array(8);
for (let candidate = 2, found = 0; found < 64; candidate += 1) {
  let prime = true;
  for (let divisor = 2; divisor * divisor <= candidate; divisor += 1)
    if (candidate % divisor === 0) prime = false;
  if (!prime) continue;
  if (found < 8) H[found] = (candidate ** 0.5 % 1) * 2 ** 32;
  K[found] = (Math.cbrt(candidate) % 1) * 2 ** 32;
  found += 1;
}

const turned = (word: number, bits: number) => (word >>> bits) | (word << (32 - bits));

export function sha256Here(data: Uint8Array): Uint8Array {
  const state = Uint32Array.from(H);
  const words = new Uint32Array(64);
  const whole = data.length - (data.length % 64);
  for (let at = 0; at < whole; at += 64) mix(state, words, data, at);
  const tail = new Uint8Array(data.length % 64 < 56 ? 64 : 128);
  tail.set(data.subarray(whole));
  tail[data.length % 64] = 0x80;
  const view = new DataView(tail.buffer);
  view.setUint32(tail.length - 8, Math.floor(data.length / 2 ** 29));
  view.setUint32(tail.length - 4, data.length * 8);
  for (let at = 0; at < tail.length; at += 64) mix(state, words, tail, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => {
    digest.setUint32(index * 4, word);
  });
  return new Uint8Array(digest.buffer);
}

function mix(state: Uint32Array, words: Uint32Array, data: Uint8Array, at: number): void {
  const word = (index: number) => words[index] as number;
  for (let i = 0; i < 16; i += 1) {
    const p = at + i * 4;
    words[i] =
      ((data[p] as number) << 24) |
      ((data[p + 1] as number) << 16) |
      ((data[p + 2] as number) << 8) |
      (data[p + 3] as number);
  }
  for (let i = 16; i < 64; i += 1) {
    const [x, y] = [word(i - 15), word(i - 2)];
    const s0 = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
    const s1 = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
    words[i] = word(i - 16) + s0 + word(i - 7) + s1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < 64; i += 1) {
    const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (K[i] as number) + word(i)) | 0;
    const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  const sums = [a, b, c, d, e, f, g, h];
  for (let i = 0; i < 8; i += 1) state[i] = (state[i] as number) + (sums[i] as number);
}
