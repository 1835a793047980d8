/** Payloads to events and state, without a DOM. Every clock is told: it never asks for the time of a picture. */

import { ask, type Answer } from "./ask.js";
import { decode } from "./decode.js";
import { isMerge } from "./merge.js";
import { plain, type Item, type Json, type Payload } from "./payload.js";
import { Slices } from "./slices.js";
import { State } from "./state.js";
import type { AnyEvents, Core, CueEvent, Heard, Options } from "./types.js";

export type * from "./types.js";

/** What is kept, so that a seek finds the state of its time: payloads, and characters of their texts as they came. */
const HELD_MAX = 2_000;
const HELD_CHARACTERS_MAX = 1 << 20;
/** Half a frame at 25 a second. */
const EARLY_S = 0.02;

interface Held {
  /** Undefined: it is foreign. */
  payload: Payload | undefined;
  text: string;
  time: number | undefined;
  size: number;
  /** Its place in the order of time; then the rank counts, which is the number where there is a time. */
  at: number;
  rank: number;
  /** Payloads of the same run came without a gap between them. */
  run: number;
  /** It fired, or counts without. */
  done: boolean;
}

type Listener = (event: unknown) => void;

// Infinity less Infinity is no number.
const inOrder = (a: Held, b: Held): number => (a.at === b.at ? a.rank - b.rank || 0 : a.at - b.at);

const text = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined);

/** @internal What `create` and `attach` return. */
export interface Player extends Core {
  report(error: unknown): void;
  close(): void;
}

/** @internal `stop`: what its method of that name does, where that is not to close. */
export function player(options: Options, stop?: () => void): Player {
  const listeners = new Map<string, Set<Listener>>();
  const slices = new Slices();
  /** In the order in which they came, by number or, of foreign ones, by time and text. */
  const kept = new Map<unknown, Held>();
  let characters = 0;
  /** What is kept and not done, in order. */
  let pending: Held[] = [];
  /** The latest time that came: where there is no clock, what has no time goes behind it. */
  let latest = -Infinity;
  let clock: number | undefined;
  /** Where the last seek went: what comes from before it counts without events. Players send what they skipped, or load more. */
  let sought = -Infinity;
  /** Such payloads came: many, perhaps, so they count together at the next tick. */
  let stale = false;
  let current = new State(-1, false, changed);
  /** The run of what comes in, the run that the state is of, and the number of runs. */
  let [run, entered, runs] = [0, 0, 0];
  let firing = false;
  /** Counts seeks and resets: a payload that fires meanwhile ends there. */
  let epoch = 0;
  let offered: Answer | undefined;
  let first: Held | undefined;
  const asking = options.stateUrl
    ? ask(
        options.stateUrl,
        (answer) => {
          offered = answer;
          settle();
        },
        report,
      )
    : undefined;

  function on<Name extends string>(name: Name, listener: (event: Heard<AnyEvents, Name>) => void): () => void {
    const own: Listener = (event) => listener(event as Heard<AnyEvents, Name>);
    const all = listeners.get(name) ?? new Set();
    listeners.set(name, all.add(own));
    return () => void all.delete(own);
  }

  function close(): void {
    asking?.stop();
    listeners.clear();
    epoch++;
  }

  function push(sent: string, time?: number): void {
    // What is no number would never be due.
    const found = unseal(sent, Number.isFinite(time) ? time : undefined, slices, clock);
    if (found) hold(found, sent);
  }

  function tick(now: number): void {
    clock = now;
    fire();
  }

  function seek(to: number): void {
    epoch++;
    slices.clear();
    clock = sought = to;
    const all = ordered();
    for (const each of all) each.done = each.at <= to;
    const before = all.filter((each) => each.done);
    pending = all.filter((each) => !each.done);
    const last = before.at(-1)?.run;
    // Between two payloads of a run nothing is missing.
    run = last !== undefined && last === pending[0]?.run ? last : ++runs;
    rebuild(before, run);
  }

  function reset(): void {
    epoch++;
    slices.clear();
    asking?.stop();
    offered = first = undefined;
    kept.clear();
    pending = [];
    characters = 0;
    latest = sought = -Infinity;
    run = ++runs;
    rebuild([], run);
  }

  function hold({ payload, time, size }: Found, sent: string): void {
    const name = payload ? payload.n : time === undefined ? {} : `${time} ${sent}`;
    const again = kept.get(name);
    if (again) {
      again.run = run;
      return;
    }
    const at = time ?? clock ?? latest;
    latest = Math.max(latest, at);
    const rank = payload && time !== undefined ? payload.n : Infinity;
    const done = time !== undefined && time <= sought;
    keep(name, { payload, text: sent, time, size, at, rank, run, done });
    stale ||= done;
    if (clock === undefined || time === undefined) fire();
  }

  function keep(name: unknown, held: Held): void {
    kept.set(name, held);
    characters += held.size;
    if (!held.done) {
      let place = pending.length;
      while (place && inOrder(pending[place - 1]!, held) > 0) place--;
      pending.splice(place, 0, held);
    }
    for (const [oldest, gone] of kept) {
      if (kept.size <= HELD_MAX && characters <= HELD_CHARACTERS_MAX) break;
      pending = pending.filter((each) => each !== gone);
      kept.delete(oldest);
      characters -= gone.size;
    }
  }

  function ordered(): Held[] {
    return [...kept.values()].sort(inOrder);
  }

  function fire(): void {
    if (firing) return;
    firing = true;
    if (stale) rebuild(allDone(), run);
    for (let next; (next = pending[0]) && next.at <= (clock ?? Infinity) + (options.early ?? EARLY_S); ) {
      pending.shift();
      apply(next);
    }
    firing = false;
  }

  function apply(held: Held): void {
    const { payload, time } = held;
    // Without a clock or a time, that is no number.
    const late = Math.max(0, clock! - time! || 0);
    if (!payload) {
      held.done = true;
      emit("#foreign", { text: held.text, time, late });
      return;
    }
    const began = epoch;
    if (!first) {
      first = held;
      settle();
    }
    run = held.run;
    enter(run);
    if (payload.r !== undefined && payload.r > current.floor) rebuild(allDone(), run, payload.r, current.complete);
    if (epoch !== began) return;
    held.done = true;
    const was = current.complete;
    current.begin(payload);
    for (const [position, item] of payload.e.entries()) {
      if (epoch !== began) return;
      current.item(payload.n, position, item);
      emitItem(item, payload.n, time, late);
    }
    if (epoch !== began) return;
    current.end(payload);
    tellComplete(was);
  }

  function emitItem(item: Item, n: number, time: number | undefined, late: number): void {
    const [type, key] = [text(item.t), text(item.k)];
    const { m: merge = "replace" } = item;
    const event: CueEvent = {
      type,
      data: item.d,
      key,
      merge: key !== undefined && isMerge(merge) ? merge : undefined,
      id: text(item.i),
      n,
      time,
      late,
      state: key === undefined ? undefined : current.value(key),
    };
    if (/^(?!\*$|#)/.test(type ?? "#")) emit(type!, event);
    emit("*", event);
  }

  function allDone(): Held[] {
    return ordered().filter((each) => each.done);
  }

  /** The state anew from these, without events but those of the state. */
  function rebuild(records: Held[], to: number, floor = -1, complete = false): void {
    stale = false;
    const old = current;
    const all = records.filter((each) => each.payload) as (Held & { payload: Payload })[];
    current = new State(Math.max(floor, ...all.map(({ payload }) => payload.r ?? -1)), complete);
    entered = all[0]?.run ?? to;
    for (const { payload, run: own } of all) {
      enter(own);
      current.begin(payload);
      payload.e.forEach((item, position) => current.item(payload.n, position, item));
      current.end(payload);
    }
    enter(to);
    current.complete ||= complete;
    current.changed = changed;
    for (const key of current.follow(old)) changed(key, current.value(key));
    tellComplete(old.complete);
  }

  /** Goes on in this run: from another, something may be missing. */
  function enter(next: number): void {
    if (next !== entered) current.gap();
    entered = next;
  }

  function changed(key: string, value: Json | undefined): void {
    emit("#state", { key, value, deleted: value === undefined });
  }

  function tellComplete(was: boolean): void {
    if (current.complete && !was) emit("#complete", { complete: true });
  }

  function emit(name: string, event: unknown): void {
    for (const listener of [...(listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        report(error);
      }
    }
  }

  function report(error: unknown): void {
    try {
      (options.onerror ?? globalThis.reportError ?? console.error)(error);
    } catch {
      // Nothing escapes, not from whoever is told of errors either.
    }
  }

  /** The state over HTTP counts when the first payload of the stream is one of those that it goes on with. */
  function settle(): void {
    if (!offered) return;
    const { base, since } = offered;
    const n = first?.payload?.n;
    const place = since.findIndex(([number]) => number === n);
    if (n === undefined && since.length) return;
    offered = undefined;
    if (n === undefined || place >= 0) begin(base, since.slice(0, Math.max(0, place)));
    // Before the window: what is kept in the stream will do.
    else if (n >= base.n) asking?.again();
  }

  function begin(base: Payload, before: [number, string][]): void {
    const apart = new Slices();
    const { at, run: own } = first ?? { at: clock ?? -Infinity, run };
    const put = (name: unknown, payload: Payload, rank: number, size: number) =>
      kept.has(name) || keep(name, { payload, text: "", time: undefined, size, at, rank, run: own, done: true });
    put("base", base, -1, JSON.stringify(base).length);
    for (const [, sent] of before) {
      const found = unseal(sent, 0, apart);
      if (found?.payload) put(found.payload.n, found.payload, found.payload.n, found.size);
    }
    rebuild(allDone(), own);
  }

  return {
    on,
    state: <Value>(key: string) => current.value(key) as Value | undefined,
    known: (key) => current.known(key),
    keys: () => current.keys(),
    get complete() {
      return current.complete;
    },
    stop: () => (stop ?? close)(),
    push,
    tick,
    seek,
    reset,
    report,
    close,
  };
}

interface Found {
  /** Undefined: it is foreign. */
  payload: Payload | undefined;
  time: number | undefined;
  size: number;
}

/** What a text is; undefined where it is a part of what is not whole yet, or of what makes no payload. */
function unseal(sent: string, time: number | undefined, slices: Slices, clock = Date.now() / 1000): Found | undefined {
  const form = sent.slice(0, 2);
  const joined = form === "~2" && slices.push(sent, time, clock);
  if (joined === false) return { payload: plain(form === "~0" ? decode(sent.slice(2)) : sent), time, size: sent.length };
  const payload = plain(joined?.text);
  return payload && { payload, time: joined!.time, size: joined!.size };
}

/** For React Native, Node, and players that `attach` does not know. */
export function create<Events extends object = AnyEvents>(options: Options = {}): Core<Events> {
  return player(options) as unknown as Core<Events>;
}
