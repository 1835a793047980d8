/** Plain payloads: what is one, and what is in it. */

/** Levels of objects and arrays, the payload itself counted. */
const NESTING_MAX = 70;

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Members = { [name: string]: Json };

export interface Entry {
  k: string;
  d?: Json;
  x?: Json;
}

export interface Item {
  d: Json;
  t?: Json;
  k?: Json;
  i?: Json;
  m?: Json;
}

export interface Payload {
  n: number;
  e: Item[];
  s?: Entry[];
  c?: [number, number, number];
  r?: number;
}

/** An object or an array. */
export const isNested = (value: unknown): value is Members => typeof value === "object" && value !== null;

export const isObject = (value: unknown): value is Members => isNested(value) && !Array.isArray(value);

export const has = Object.hasOwn;

/** The payload, or undefined where the text is not one that is well formed. */
export function plain(text: string | undefined): Payload | undefined {
  if (text?.[0] !== "{") return undefined;
  let value;
  try {
    value = JSON.parse(text) as Members;
  } catch {
    return undefined;
  }
  return isPayload(value) && !isDeeper(value, NESTING_MAX) ? value : undefined;
}

function isPayload(value: Members): value is Members & Payload {
  const { v, n, e, s, c, r } = value;
  return (
    v === 1 &&
    Number.isSafeInteger(n) &&
    (n as number) >= 0 &&
    areObjects(e) &&
    e.every((item) => has(item, "d")) &&
    (s === undefined || (areObjects(s) && s.every((entry) => has(entry, "k") && typeof entry.k === "string"))) &&
    (c === undefined || (Array.isArray(c) && c.length === 3 && c.every(Number.isInteger))) &&
    (r === undefined || Number.isInteger(r))
  );
}

const areObjects = (value: Json | undefined): value is Members[] => Array.isArray(value) && value.every(isObject);

function isDeeper(value: Json, levels: number): boolean {
  return isNested(value) && (!levels || Object.values(value).some((member) => isDeeper(member, levels - 1)));
}
