/** What a program sees. */

import type { Merge } from "./merge.js";

/** An event as it fires. `Data` is what its type carries. */
export interface CueEvent<Data = unknown, Type extends string | undefined = string | undefined> {
  readonly type: Type;
  readonly data: Data;
  readonly key: string | undefined;
  /** How it changes the value of its key; undefined: it has no key, or changes nothing. */
  readonly merge: Merge | undefined;
  readonly id: string | undefined;
  /** The number of its payload. */
  readonly n: number;
  /** Seconds on the player's clock; undefined where the player tells none. */
  readonly time: number | undefined;
  /** Seconds that it fires after its time, as when a viewer joins. */
  readonly late: number;
  /** The value of its key, this event counted. */
  readonly state: unknown;
}

export interface StateEvent {
  readonly key: string;
  /** Undefined where it is deleted. */
  readonly value: unknown;
  readonly deleted: boolean;
}

/** The state is complete: every key is there. */
export interface CompleteEvent {
  readonly complete: true;
}

/** A text that is none of Cuegate's payloads: a raw one, or another sender's. */
export interface ForeignEvent {
  readonly text: string;
  readonly time: number | undefined;
  readonly late: number;
}

/** The types of events, and what each carries, where nothing else is said. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyEvents = Record<string, any>;

type Named<Events> = { [Type in keyof Events & string]: CueEvent<Events[Type], Type> };
type Special<Events> = {
  "*": string extends keyof Events ? CueEvent<unknown> : Named<Events>[keyof Events & string];
  "#state": StateEvent;
  "#complete": CompleteEvent;
  "#foreign": ForeignEvent;
};
/** What a listener of a name gets. */
export type Heard<Events, Name> = Name extends keyof Special<Events>
  ? Special<Events>[Name]
  : Name extends keyof Events & string
    ? CueEvent<Events[Name], Name>
    : never;

export interface Options {
  /** `…/v1/channels/{channel}/state`, where the channel has `state_http`: so who joins late has the state at once. */
  stateUrl?: string;
  /** Seconds before its time that an event fires: half a frame or so. */
  early?: number;
  /** Gets what a listener throws; otherwise `reportError` does. */
  onerror?: (error: unknown) => void;
}

export interface Cues<Events extends object = AnyEvents> {
  /** Listens to a type of events, `*` (all events), `#state`, `#complete` or `#foreign`. Returns what ends it. */
  on<Name extends (keyof Events & string) | keyof Special<Events>>(name: Name, listener: (event: Heard<Events, Name>) => void): () => void;
  /** The value of a key: the same reference until it changes. */
  state<Value = unknown>(key: string): Value | undefined;
  /** Whether `state(key)`, a value or none, is certain to be what everybody else has. */
  known(key: string): boolean;
  /** The keys that have a value. */
  keys(): string[];
  /** Whether all keys are known. */
  readonly complete: boolean;
  /** Ends it. */
  stop(): void;
}

/** For players that `attach` does not know: it is told what comes in, and what time it is. */
export interface Core<Events extends object = AnyEvents> extends Cues<Events> {
  /** Takes the text of a payload. It fires when its time comes, or at once where it has none or `tick` was never called. */
  push(text: string, time?: number): void;
  /** The picture is at this time: what is due fires. */
  tick(now: number): void;
  /** The viewer went to this time: the state becomes what it was there, and later events fire again. */
  seek(to: number): void;
  /** Another source plays: all is forgotten. */
  reset(): void;
}
