/** Payloads to events and state, without a DOM. Every clock is told: it never asks for the time of a picture. */

import { Asking, type Answer } from "./ask.js";
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

const inOrder = (a: Held, b: Held): number => (a.at === b.at ? (a.rank === b.rank ? 0 : a.rank - b.rank) : a.at - b.at);

const text = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined);

/** @internal Use `create`. */
export class Player implements Core {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #options: Options;
  readonly #stop: (() => void) | undefined;
  /** In the order in which they came, by number or, of foreign ones, by time and text. */
  readonly #held = new Map<unknown, Held>();
  #characters = 0;
  /** The latest time that came: where there is no clock, what has no time goes behind it. */
  #latest = -Infinity;
  /** What is held and not done, in order. */
  #pending: Held[] = [];
  #slices = new Slices();
  #state = new State(-1, false);
  #now: number | undefined;
  /** The run of what comes in, the run of what the state is of, and the number of runs. */
  #run = 0;
  #entered = 0;
  #runs = 0;
  #firing = false;
  /** Counts seeks and resets: a payload that fires meanwhile ends there. */
  #epoch = 0;
  #asking: Asking | undefined;
  #answer: Answer | undefined;
  #first: Held | undefined;

  constructor(options: Options, stop?: () => void) {
    this.#options = options;
    this.#stop = stop;
    this.#watch();
    if (options.stateUrl) {
      this.#asking = new Asking(options.stateUrl, (answer) => this.#answered(answer), (error) => this.#report(error));
    }
  }

  on<Name extends string>(name: Name, listener: (event: Heard<AnyEvents, Name>) => void): () => void {
    const own: Listener = (event) => listener(event as Heard<AnyEvents, Name>);
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all.add(own));
    return () => void all.delete(own);
  }

  state<Value = unknown>(key: string): Value | undefined {
    return this.#state.value(key) as Value | undefined;
  }

  known(key: string): boolean {
    return this.#state.known(key);
  }

  keys(): string[] {
    return this.#state.keys();
  }

  get complete(): boolean {
    return this.#state.complete;
  }

  stop(): void {
    if (this.#stop) this.#stop();
    else this.close();
  }

  /** @internal */
  close(): void {
    this.#asking?.stop();
    this.#listeners.clear();
    this.#epoch++;
  }

  push(sent: string, time?: number): void {
    if (sent.startsWith("~2")) {
      const joined = this.#slices.push(sent, time, Date.now() / 1000);
      if (joined) {
        const payload = plain(joined.text ?? "");
        if (payload) this.#hold(payload, sent, joined.time, joined.size);
      }
      if (joined !== false) return;
    }
    this.#hold(payloadOf(sent), sent, time, sent.length);
  }

  tick(now: number): void {
    this.#now = now;
    this.#fire();
  }

  seek(to: number): void {
    this.#slices.clear();
    this.#now = to;
    const held = this.#ordered();
    for (const each of held) each.done = each.at <= to;
    const before = held.filter((each) => each.done);
    this.#pending = held.filter((each) => !each.done);
    const run = before.at(-1)?.run;
    // Between two payloads of a run nothing is missing.
    this.#run = run !== undefined && run === this.#pending[0]?.run ? run : ++this.#runs;
    this.#rebuild(before, this.#run);
  }

  reset(): void {
    this.#held.clear();
    this.#pending = [];
    this.#characters = 0;
    this.#latest = -Infinity;
    this.#slices.clear();
    this.#asking?.stop();
    this.#answer = this.#first = undefined;
    this.#run = ++this.#runs;
    this.#rebuild([], this.#run);
  }

  #hold(payload: Payload | undefined, sent: string, time: number | undefined, size: number): void {
    const name = payload ? payload.n : time === undefined ? {} : `${time} ${sent}`;
    const again = this.#held.get(name);
    if (again) {
      again.run = this.#run;
      return;
    }
    const at = time ?? this.#now ?? this.#latest;
    this.#latest = Math.max(this.#latest, at);
    const rank = payload && time !== undefined ? payload.n : Infinity;
    this.#keep(name, { payload, text: sent, time, size, at, rank, run: this.#run, done: false });
    if (this.#now === undefined || time === undefined) this.#fire();
  }

  #keep(name: unknown, held: Held): void {
    this.#held.set(name, held);
    this.#characters += held.size;
    if (!held.done) {
      let place = this.#pending.length;
      while (place && inOrder(this.#pending[place - 1]!, held) > 0) place--;
      this.#pending.splice(place, 0, held);
    }
    for (const [oldest, { size }] of this.#held) {
      if (this.#held.size <= HELD_MAX && this.#characters <= HELD_CHARACTERS_MAX) break;
      this.#pending = this.#pending.filter((each) => each !== this.#held.get(oldest));
      this.#held.delete(oldest);
      this.#characters -= size;
    }
  }

  #ordered(): Held[] {
    return [...this.#held.values()].sort(inOrder);
  }

  #fire(): void {
    if (this.#firing) return;
    this.#firing = true;
    for (let next; (next = this.#pending[0]) && next.at <= (this.#now ?? Infinity) + (this.#options.early ?? EARLY_S); ) {
      this.#pending.shift();
      this.#apply(next);
    }
    this.#firing = false;
  }

  #apply(held: Held): void {
    const { payload, time } = held;
    const late = this.#now !== undefined && time !== undefined ? Math.max(0, this.#now - time) : 0;
    if (!payload) {
      held.done = true;
      this.#emit("#foreign", { text: held.text, time, late });
      return;
    }
    const epoch = this.#epoch;
    if (!this.#first) {
      this.#first = held;
      this.#settle();
    }
    this.#enter(held.run);
    this.#run = held.run;
    if (payload.r !== undefined && payload.r > this.#state.floor) {
      this.#rebuild(this.#done(), held.run, payload.r, this.complete, false);
    }
    if (this.#epoch !== epoch) return;
    held.done = true;
    const was = this.complete;
    this.#state.begin(payload);
    for (const [position, item] of payload.e.entries()) {
      if (this.#epoch !== epoch) return;
      this.#state.item(payload.n, position, item);
      this.#emitItem(item, payload.n, time, late);
    }
    if (this.#epoch !== epoch) return;
    this.#state.end(payload);
    if (this.complete && !was) this.#emit("#complete", { complete: true });
  }

  #emitItem(item: Item, n: number, time: number | undefined, late: number): void {
    const [type, key] = [text(item.t), text(item.k)];
    const merge = item.m === undefined ? "replace" : item.m;
    const event: CueEvent = {
      type,
      data: item.d,
      key,
      merge: key !== undefined && isMerge(merge) ? merge : undefined,
      id: text(item.i),
      n,
      time,
      late,
      state: key === undefined ? undefined : this.state(key),
    };
    if (type !== undefined && type !== "*" && type[0] !== "#") this.#emit(type, event);
    this.#emit("*", event);
  }

  #done(): Held[] {
    return this.#ordered().filter((each) => each.done);
  }

  /** The state anew from what is held, without events but those of the state. */
  #rebuild(records: Held[], run: number, floor = -1, complete = false, cut = true): void {
    if (cut) this.#epoch++;
    const old = this.#state;
    const payloads = records.filter((each) => each.payload) as (Held & { payload: Payload })[];
    const state = new State(Math.max(floor, ...payloads.map(({ payload }) => payload.r ?? -1)), complete);
    this.#state = state;
    this.#entered = payloads[0]?.run ?? run;
    for (const { payload, run: own } of payloads) {
      this.#enter(own);
      state.begin(payload);
      payload.e.forEach((item, position) => state.item(payload.n, position, item));
      state.end(payload);
    }
    this.#enter(run);
    state.complete ||= complete;
    this.#watch();
    const whole = state.complete && !old.complete;
    for (const key of state.follow(old)) this.#emitState(key, state.value(key));
    if (whole) this.#emit("#complete", { complete: true });
  }

  /** Goes on in this run: from another, something may be missing. */
  #enter(run: number): void {
    if (run === this.#entered) return;
    this.#state.gap();
    this.#entered = run;
  }

  #watch(): void {
    this.#state.changed = (key, value) => this.#emitState(key, value);
  }

  #emitState(key: string, value: Json | undefined): void {
    this.#emit("#state", { key, value, deleted: value === undefined });
  }

  #emit(name: string, event: unknown): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  #report(error: unknown): void {
    const { onerror } = this.#options;
    try {
      if (onerror) onerror(error);
      else if (typeof reportError === "function") reportError(error);
      else console.error(error);
    } catch {
      // Nothing escapes, not from whoever is told of errors either.
    }
  }

  #answered(answer: Answer): void {
    this.#answer = answer;
    this.#settle();
  }

  /** The state over HTTP counts when the first payload of the stream is one of those that it goes on with. */
  #settle(): void {
    const [answer, first] = [this.#answer, this.#first];
    if (!answer) return;
    const { base, since } = answer;
    const place = since.findIndex(([n]) => n === first?.payload?.n);
    if (first ? place >= 0 : !since.length) this.#base(base, since.slice(0, Math.max(0, place)), first);
    else if (!first) return;
    // Before the window: what is kept in the stream will do.
    else if (first.payload!.n >= base.n) this.#asking?.again();
    this.#answer = undefined;
  }

  #base(base: Payload, before: [number, string][], first: Held | undefined): void {
    const at = first?.at ?? this.#now ?? -Infinity;
    const run = first?.run ?? this.#run;
    const slices = new Slices();
    const texts = before.map(([, sent]) => (sent.startsWith("~2") ? (slices.push(sent, 0, 0) || undefined)?.text : sent));
    const payloads = [base, ...texts.map((sent) => (sent === undefined ? undefined : payloadOf(sent)))];
    for (const [nth, payload] of payloads.entries()) {
      if (!payload) continue;
      const name = nth ? payload.n : "base";
      if (this.#held.has(name)) continue;
      const size = nth ? before[nth - 1]![1].length : JSON.stringify(base).length;
      this.#keep(name, { payload, text: "", time: undefined, size, at, rank: nth ? payload.n : -1, run, done: true });
    }
    this.#rebuild(this.#done(), run, -1, false, false);
  }
}

function payloadOf(sent: string): Payload | undefined {
  return plain((sent.startsWith("~0") ? decode(sent.slice(2)) : sent) ?? "");
}

/** For React Native, Node, and players that `attach` does not know. */
export function create<Events extends object = AnyEvents>(options: Options = {}): Core<Events> {
  return new Player(options) as unknown as Core<Events>;
}
