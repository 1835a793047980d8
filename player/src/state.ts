/** The state of a channel, key by key, out of its payloads. */

import { isMerge, merged, same } from "./merge.js";
import { has, type Entry, type Item, type Json, type Payload } from "./payload.js";

/** Keys, deleted ones too: 16 times what a gateway keeps. The one that changed longest ago goes first. */
const KEYS_MAX = 16_384;

interface Known {
  /** Undefined: it has none, and is remembered for its place. */
  value: Json | undefined;
  /** The payload and the position in it that the value is as of. Infinity, the end: an entry of the next one told of it. */
  n: number;
  position: number;
  /** Whether the value, or that there is none, is what everybody else has. */
  sure: boolean;
}

/** A tour of all keys, as far as it was seen. */
interface Cycle {
  start: number;
  parts: Set<number>;
  last?: number;
}

export class State {
  readonly #keys = new Map<string, Known>();
  #cycle: Cycle | undefined;
  /** What has a smaller number counts for no state. */
  readonly floor: number;
  complete: boolean;
  /** Called at every change, where it is set. */
  changed: ((key: string, value: Json | undefined) => void) | undefined;

  constructor(floor: number, complete: boolean, changed?: State["changed"]) {
    this.floor = floor;
    this.complete = complete;
    this.changed = changed;
  }

  value(key: string): Json | undefined {
    return this.#keys.get(key)?.value;
  }

  known(key: string): boolean {
    return this.#keys.get(key)?.sure ?? this.complete;
  }

  keys(): string[] {
    return [...this.#keys].filter(([, known]) => known.value !== undefined).map(([key]) => key);
  }

  /** What comes before the items of a payload. */
  begin({ n, s = [] }: Payload): void {
    if (n < this.floor) return;
    // Of two entries of a key, the last counts.
    for (const [key, entry] of new Map(s.map((entry) => [entry.k, entry]))) this.#entry(n, key, entry);
  }

  #entry(n: number, key: string, entry: Entry): void {
    const known = this.#keys.get(key);
    if (known && n <= known.n) return;
    const deleted = entry.x === 1;
    const given = deleted || has(entry, "d");
    const value = deleted ? undefined : given ? entry.d : known?.value;
    const sure = given || (value !== undefined && known!.sure);
    this.#put(key, { value, n: n - 1, position: Infinity, sure });
  }

  item(n: number, position: number, { k: key, m: merge = "replace", d: data }: Item): void {
    if (typeof key !== "string" || !isMerge(merge) || n < this.floor) return;
    const known = this.#keys.get(key);
    if (known && (n < known.n || (n === known.n && position <= known.position))) return;
    const replaced = merge === "replace";
    const value = replaced && data === null ? undefined : merged(merge, known?.value, data);
    this.#put(key, { value, n, position, sure: replaced || this.known(key) });
  }

  /** What comes after the items of a payload. */
  end({ n, c }: Payload): void {
    if (!c) return;
    const [offset, part, last] = c;
    const start = n - offset;
    if (offset < 0 || part < 0 || (last !== 0 && last !== 1) || start < (this.#cycle?.start ?? 0)) return;
    if (this.#cycle?.start !== start) this.#cycle = { start, parts: new Set() };
    const cycle = this.#cycle!;
    cycle.parts.add(part);
    if (last) cycle.last = part;
    if (cycle.last === undefined) return;
    for (let i = 0; i <= cycle.last; i++) if (!cycle.parts.has(i)) return;
    for (const [key, known] of [...this.#keys]) {
      const told = known.n + (known.position === Infinity ? 1 : 0);
      if (told < start) this.#put(key, { ...known, value: undefined, sure: true });
    }
    this.complete = true;
  }

  /** Payloads may be missing between the last one and the next. */
  gap(): void {
    this.complete = false;
    this.#cycle = undefined;
    for (const known of this.#keys.values()) known.sure = false;
  }

  /** The same values keep their references. Returns the keys that differ. */
  follow(old: State): string[] {
    const differ = [];
    for (const key of new Set([...old.keys(), ...this.keys()])) {
      const [known, before] = [this.#keys.get(key), old.value(key)];
      if (known && same(known.value, before)) known.value = before;
      else if (known?.value !== before) differ.push(key);
    }
    return differ;
  }

  #put(key: string, next: Known): void {
    const before = this.value(key);
    const changed = !same(before, next.value);
    if (!changed) next.value = before;
    this.#keys.delete(key);
    this.#keys.set(key, next);
    if (changed) this.changed?.(key, next.value);
    if (this.#keys.size <= KEYS_MAX) return;
    const [[oldest, { value }]] = this.#keys as unknown as [[string, Known]];
    this.#keys.delete(oldest);
    if (value !== undefined) this.changed?.(oldest, undefined);
  }
}
