/** Slices of large events, form `~2`, to the text of which they are parts. */

import { ALPHABET, decode } from "./decode.js";

const SLICES_MAX = 16;
const OPEN_MAX = 3;
/** Seconds from the first slice that came. */
const OPEN_S = 30;
const FINISHED_MAX = 8;

interface Open {
  since: number;
  time: number | undefined;
  parts: string[];
}

export interface Joined {
  /** The plain payload's text; undefined where the parts do not make one. */
  text: string | undefined;
  /** The time of the last slice. */
  time: number | undefined;
  /** Characters of all parts. */
  size: number;
}

export class Slices {
  readonly #open = new Map<number, Open>();
  readonly #finished = new Set<number>();

  /** Returns what a slice completes, nothing where it does not, and false where the text is no slice. */
  push(slice: string, time: number | undefined, now: number): Joined | false | undefined {
    const digits = [...slice.slice(2, 8)].map((character) => ALPHABET.indexOf(character));
    const [part, count] = digits.splice(4) as [number, number];
    // Of a text that is too short, a digit is undefined.
    if (digits.includes(-1) || !(0 <= part && part < count && count <= SLICES_MAX)) return false;
    // The low digits come first.
    const id = digits.reduceRight((sum, digit) => sum * 91 + digit);
    const name = id * 91 + count;
    if (this.#finished.has(name)) return undefined;
    const clock = time ?? now;
    for (const [other, { since }] of this.#open) if (Math.abs(clock - since) > OPEN_S) this.#open.delete(other);
    const open = this.#open.get(name) ?? { since: clock, time, parts: [] };
    this.#open.set(name, open);
    if (this.#open.size > OPEN_MAX) dropFirst(this.#open);
    open.parts[part] ??= slice.slice(8);
    if (time !== undefined) open.time = Math.max(open.time ?? time, time);
    for (let i = 0; i < count; i++) if (open.parts[i] === undefined) return undefined;
    this.#open.delete(name);
    this.#finished.add(name);
    if (this.#finished.size > FINISHED_MAX) dropFirst(this.#finished);
    const body = open.parts.join("");
    return { text: identity(body) === id ? decode(body) : undefined, time: open.time, size: body.length };
  }

  clear(): void {
    this.#open.clear();
    this.#finished.clear();
  }
}

function dropFirst(of: { keys(): Iterator<number>; delete(key: number): boolean }): void {
  of.delete(of.keys().next().value!);
}

/** FNV-1a-32 of the text, mod 91^4. */
function identity(body: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < body.length; i++) hash = Math.imul(hash ^ body.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % 91 ** 4;
}
