// The normal draws of numpy.random.RandomState(seed): Mersenne Twister (Matsumoto and Nishimura 1998, MT19937) and
// the polar method (Marsaglia and Bray 1964). The library draws z and noise maps from seeds with them.

const N = 624;
const M = 397;

export class RandomState {
  /** seed: an integer from 0 to 2^32 - 1. */
  constructor(seed) {
    this.state = new Uint32Array(N);
    this.state[0] = seed;
    for (let i = 1; i < N; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, last) + i;
    }
    this.index = N;
    this.kept = null; // The second number of a pair of normal draws.
  }

  /** An integer from 0 to 2^32 - 1. */
  uint32() {
    if (this.index === N) this.#twist();
    let y = this.state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #twist() {
    const s = this.state;
    for (let i = 0; i < N; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % N] & 0x7fffffff);
      s[i] = s[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }

  /** A number from 0 to 1, with 53 random bits. */
  double() {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** A draw from the normal distribution. */
  normal() {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    let x, y, r2;
    do {
      x = 2 * this.double() - 1;
      y = 2 * this.double() - 1;
      r2 = x * x + y * y;
    } while (r2 >= 1 || r2 === 0);
    const f = Math.sqrt((-2 * Math.log(r2)) / r2);
    this.kept = f * x;
    return f * y;
  }

  /** n draws, as float32. */
  normals(n) {
    return Float32Array.from({ length: n }, () => this.normal());
  }
}
