/** Text of form `~0` to the text of the plain payload: basE91, raw DEFLATE (RFC 1951), UTF-8. Pure, and bounded. */

import { DICTIONARY } from "./dictionary.js";

export const ALPHABET =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-";

/** The most bytes that a payload decodes to. Decoding stops there, whatever the text promises. */
export const DECODED_MAX = 65_536;

/** The plain payload's text, or undefined where `body` is not exactly one. */
export function decode(body: string): string | undefined {
  const bytes = base91(body);
  const plain = bytes && inflate(bytes);
  return plain && utf8(plain);
}

/** The bytes of basE91 text, or undefined where a character is not of its alphabet. */
export function base91(text: string): Uint8Array | undefined {
  // 13 bits at least in two characters, and up to a byte at the end.
  const out = new Uint8Array(text.length + 1);
  let [length, bits, held, low] = [0, 0, 0, -1];
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    if (low < 0) {
      low = digit;
      continue;
    }
    const value = low + digit * 91;
    bits |= value << held;
    held += (value & 8191) > 88 ? 13 : 14;
    for (; held > 7; held -= 8) {
      out[length++] = bits;
      bits >>= 8;
    }
    low = -1;
  }
  if (low >= 0) out[length++] = bits | (low << held);
  return out.subarray(0, length);
}

/** The text of UTF-8, or undefined where it is none. There need not be a `TextDecoder`, as in React Native. */
export function utf8(bytes: Uint8Array): string | undefined {
  let escaped = "";
  for (const byte of bytes) escaped += `%${(byte + 256).toString(16).slice(1)}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}

/** A Huffman code: symbols by their codes, each with a 1 before it, so that 01 and 1 are two. */
type Code = Map<number, number>;

const CODE_BITS_MAX = 15;
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK = 256;

function malformed(): never {
  throw new Error();
}

/** `single`: a code of one symbol may leave codes unused; RFC 1951 has no other that does. */
function code(lengths: number[], single?: boolean): Code {
  const made: Code = new Map();
  let next = 1;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    next *= 2;
    lengths.forEach((length, symbol) => length === bits && made.set(next++, symbol));
    if (next > 2 << bits) malformed();
  }
  const unused = next < 2 << CODE_BITS_MAX;
  if (unused && made.size && !(single && made.size === 1 && made.has(2))) malformed();
  return made;
}

const repeat = (value: number, times: number) => new Array<number>(times).fill(value);

/** The bytes of one whole stream, or undefined where it is broken, has something behind it, or holds more than the bound. */
export function inflate(input: Uint8Array): Uint8Array | undefined {
  const from = DICTIONARY.length;
  const out = new Uint8Array(from + DECODED_MAX);
  for (let i = 0; i < from; i++) out[i] = DICTIONARY.charCodeAt(i);
  let [end, at, bit, held] = [from, 0, 0, 0];

  function bits(count: number): number {
    while (held < count) {
      if (at === input.length) malformed();
      bit |= input[at++]! << held;
      held += 8;
    }
    const value = bit & ((1 << count) - 1);
    bit >>>= count;
    held -= count;
    return value;
  }
  function put(byte: number): void {
    if (end === out.length) malformed();
    out[end++] = byte;
  }
  function symbol(of: Code): number {
    for (let read = 1; read <= 1 << CODE_BITS_MAX; ) {
      read = read * 2 + bits(1);
      const found = of.get(read);
      if (found !== undefined) return found;
    }
    return malformed();
  }
  function stored(): void {
    bit = held = 0;
    const length = bits(16);
    if (length !== (~bits(16) & 0xffff)) malformed();
    for (let i = 0; i < length; i++) put(bits(8));
  }
  function dynamic(): [Code, Code] {
    const [literals, distances, count] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    if (literals > 286 || distances > 30) malformed();
    const order = repeat(0, LENGTH_ORDER.length);
    for (let i = 0; i < count; i++) order[LENGTH_ORDER[i]!] = bits(3);
    const meta = code(order);
    const lengths: number[] = [];
    while (lengths.length < literals + distances) {
      const found = symbol(meta);
      if (found < 16) lengths.push(found);
      else if (found > 16) lengths.push(...repeat(0, found === 17 ? 3 + bits(3) : 11 + bits(7)));
      else lengths.push(...repeat(lengths.at(-1) ?? malformed(), 3 + bits(2)));
    }
    if (lengths.length > literals + distances || !lengths[END_OF_BLOCK]) malformed();
    return [code(lengths.slice(0, literals), true), code(lengths.slice(literals), true)];
  }
  function compressed([literals, distances]: [Code, Code]): void {
    for (;;) {
      const found = symbol(literals);
      if (found === END_OF_BLOCK) return;
      if (found < END_OF_BLOCK) {
        put(found);
        continue;
      }
      const long = found - 257;
      if (long > 28) malformed();
      // 285 is the longest, of no bits more.
      const more = long < 8 || long === 28 ? 0 : (long >> 2) - 1;
      const length = long === 28 ? 258 : 3 + (long < 8 ? long : (4 + (long & 3)) << more) + bits(more);
      const near = symbol(distances);
      if (near > 29) malformed();
      const extra = near < 4 ? 0 : (near - 2) >> 1;
      const distance = (near < 4 ? near : (2 + (near & 1)) << extra) + 1 + bits(extra);
      if (distance > end) malformed();
      for (let i = 0; i < length; i++) put(out[end - distance]!);
    }
  }

  try {
    for (let last = 0; !last; ) {
      last = bits(1);
      const type = bits(2);
      if (type === 0) stored();
      else if (type === 1) compressed(fixed());
      else if (type === 2) compressed(dynamic());
      else return undefined;
    }
  } catch {
    return undefined;
  }
  return at === input.length ? out.subarray(from, end) : undefined;
}

function fixed(): [Code, Code] {
  const lengths = [...repeat(8, 144), ...repeat(9, 112), ...repeat(7, 24), ...repeat(8, 8)];
  return [code(lengths), code(repeat(5, 32))];
}
