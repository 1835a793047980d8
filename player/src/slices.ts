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
  parts: Map<number, string>;
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
  readonly #open = new Map<string, Open>();
  readonly #finished = new Set<string>();

  /** Returns what a slice completes, nothing where it does not, and false where the text is no slice. */
  push(slice: string, time: number | undefined, now: number): Joined | false | undefined {
    const [a, b, c, d, part, count] = [...slice.slice(2, 8)].map((character) => ALPHABET.indexOf(character));
    if (Math.min(a!, b!, c!, d!, part!) < 0 || !(part! < count! && count! <= SLICES_MAX)) return false;
    const name = slice.slice(2, 6) + slice[7];
    if (this.#finished.has(name)) return undefined;
    const clock = time ?? now;
    for (const [other, { since }] of this.#open) if (Math.abs(clock - since) > OPEN_S) this.#open.delete(other);
    const open = this.#open.get(name) ?? { since: clock, time, parts: new Map<number, string>() };
    this.#open.set(name, open);
    if (this.#open.size > OPEN_MAX) dropFirst(this.#open);
    if (!open.parts.has(part!)) open.parts.set(part!, slice.slice(8));
    if (time !== undefined) open.time = Math.max(open.time ?? time, time);
    if (open.parts.size < count!) return undefined;
    this.#open.delete(name);
    this.#finished.add(name);
    if (this.#finished.size > FINISHED_MAX) dropFirst(this.#finished);
    let body = "";
    for (let i = 0; i < count!; i++) body += open.parts.get(i);
    return { text: identity(body) === slice.slice(2, 6) ? decode(body) : undefined, time: open.time, size: body.length };
  }

  clear(): void {
    this.#open.clear();
    this.#finished.clear();
  }
}

function dropFirst(of: { keys(): Iterator<string>; delete(key: string): boolean }): void {
  of.delete(of.keys().next().value!);
}

/** FNV-1a-32 of the text, mod 91^4, in 4 characters with the low ones first. */
function identity(body: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < body.length; i++) hash = Math.imul(hash ^ body.charCodeAt(i), 0x01000193) >>> 0;
  let [rest, name] = [hash % 91 ** 4, ""];
  for (let i = 0; i < 4; i++) {
    name += ALPHABET[rest % 91];
    rest = Math.floor(rest / 91);
  }
  return name;
}
