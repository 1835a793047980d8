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
  for (const byte of bytes) escaped += (byte < 16 ? "%0" : "%") + byte.toString(16);
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}

/** A Huffman code: how many symbols have codes of each length, and the symbols in the order of their codes. */
interface Code {
  counts: Uint16Array;
  symbols: Uint16Array;
}

const CODE_BITS_MAX = 15;
const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK = 256;

class Malformed extends Error {}

/** `single`: a code of one symbol may leave codes unused; RFC 1951 has no other that does. */
function code(lengths: number[], single: boolean): Code {
  const counts = new Uint16Array(CODE_BITS_MAX + 1);
  for (const length of lengths) counts[length]!++;
  let left = 1;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    left = left * 2 - counts[bits]!;
    if (left < 0) throw new Malformed();
  }
  const used = lengths.length - counts[0]!;
  if (left > 0 && used > 0 && !(single && used === counts[1])) throw new Malformed();
  counts[0] = 0;
  const symbols: number[] = [];
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) lengths.forEach((length, symbol) => length === bits && symbols.push(symbol));
  return { counts, symbols: Uint16Array.from(symbols) };
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
      if (at === input.length) throw new Malformed();
      bit |= input[at++]! << held;
      held += 8;
    }
    const value = bit & ((1 << count) - 1);
    bit >>>= count;
    held -= count;
    return value;
  }
  function put(byte: number): void {
    if (end === out.length) throw new Malformed();
    out[end++] = byte;
  }
  function symbol({ counts, symbols }: Code): number {
    let [value, first, index] = [0, 0, 0];
    for (let length = 1; length <= CODE_BITS_MAX; length++) {
      value |= bits(1);
      const count = counts[length]!;
      if (value - count < first) return symbols[index + value - first]!;
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw new Malformed();
  }
  function stored(): void {
    bit = held = 0;
    const length = bits(16);
    if (length !== (~bits(16) & 0xffff)) throw new Malformed();
    for (let i = 0; i < length; i++) put(bits(8));
  }
  function dynamic(): [Code, Code] {
    const [literals, distances, count] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    if (literals > 286 || distances > 30) throw new Malformed();
    const order = repeat(0, 19);
    for (let i = 0; i < count; i++) order[LENGTH_ORDER[i]!] = bits(3);
    const meta = code(order, false);
    const lengths: number[] = [];
    while (lengths.length < literals + distances) {
      const found = symbol(meta);
      if (found < 16) lengths.push(found);
      else if (found > 16) lengths.push(...repeat(0, found === 17 ? 3 + bits(3) : 11 + bits(7)));
      else if (lengths.length) lengths.push(...repeat(lengths.at(-1)!, 3 + bits(2)));
      else throw new Malformed();
    }
    if (lengths.length > literals + distances || !lengths[END_OF_BLOCK]) throw new Malformed();
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
      const base = LENGTH_BASE[found - 257];
      if (!base) throw new Malformed();
      const length = base + bits(found < 265 || found === 285 ? 0 : (found - 261) >> 2);
      const near = symbol(distances);
      if (near > 29) throw new Malformed();
      const extra = near < 4 ? 0 : (near - 2) >> 1;
      const distance = (near < 4 ? near : (2 + (near & 1)) << extra) + 1 + bits(extra);
      if (distance > end) throw new Malformed();
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
  return [code(lengths, false), code(repeat(5, 32), false)];
}
