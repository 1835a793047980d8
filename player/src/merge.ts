/** What an item makes of the value of its key. Values are never changed: a new one takes the place. */

import { has, isNested, isObject, type Json, type Members } from "./payload.js";

export type Merge = "replace" | "sum" | "max" | "min" | "patch";

type Make = (value: Json | undefined, data: Json) => Json;

const MERGES: Record<Merge, Make> = {
  replace: (_, data) => data,
  patch: patched,
  sum: numbers(add),
  max: numbers((a, b) => (a < b ? b : a)),
  min: numbers((a, b) => (a > b ? b : a)),
};

export const isMerge = (name: unknown): name is Merge => typeof name === "string" && has(MERGES, name);

/** `value` undefined: there is none yet. */
export const merged = (merge: Merge, value: Json | undefined, data: Json): Json => MERGES[merge](value, data);

const isNumber = (value: unknown): value is number => Number.isFinite(value);

/** Numbers with numbers, in objects field by field; otherwise the data takes the place. */
function numbers(make: (a: number, b: number) => number): Make {
  return (value, data) => {
    if (isNumber(value) && isNumber(data)) return make(value, data);
    if (!isObject(value) || !isObject(data)) return data;
    const made = { ...value };
    for (const [name, more] of Object.entries(data)) {
      const before = has(value, name) ? value[name] : undefined;
      put(made, name, isNumber(before) && isNumber(more) ? make(before, more) : more);
    }
    return made;
  };
}

/** RFC 7396. */
function patched(value: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const made: Members = isObject(value) ? { ...value } : {};
  for (const [name, member] of Object.entries(patch)) {
    if (member === null) delete made[name];
    else put(made, name, patched(has(made, name) ? made[name] : undefined, member));
  }
  return made;
}

/** An assignment to `__proto__` would make no member. */
function put(object: Members, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * The exact sum of the decimal numbers that the two are written as, and then the nearest double: 0.1 and 0.2 are 0.3. So votes
 * and money come out right where both have up to 15 digits.
 */
function add(a: number, b: number): number {
  const [[x, left], [y, right]] = [decimal(a), decimal(b)];
  const scale = Math.min(left, right);
  const whole = (digits: bigint, own: number) => digits * 10n ** BigInt(own - scale);
  const exact = Number(`${whole(x, left) + whole(y, right)}e${scale}`);
  // What is greater than all doubles is no JSON.
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, exact));
}

/** A number as digits and a power of ten. */
function decimal(value: number): [bigint, number] {
  const [mantissa, exponent] = value.toExponential().split("e") as [string, string];
  const [, fraction = ""] = mantissa.split(".");
  return [BigInt(mantissa.replace(".", "")), Number(exponent) - fraction.length];
}

/** Whether two values are the same JSON. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (!isNested(a) || !isNested(b) || isObject(a) !== isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => has(b, name) && same(a[name], b[name]));
}
