// Made from player/src by tests/interop/bundle.py. CONTRIBUTING.md says how to make it anew.
// payload.ts
var NESTING_MAX = 70;
var isNested = (value) => typeof value === "object" && value !== null;
var isObject = (value) => isNested(value) && !Array.isArray(value);
var has = Object.hasOwn;
function plain(text2) {
  if (text2?.[0] !== "{") return void 0;
  let value;
  try {
    value = JSON.parse(text2);
  } catch {
    return void 0;
  }
  return isPayload(value) && !isDeeper(value, NESTING_MAX) ? value : void 0;
}
function isPayload(value) {
  const { v, n, e, s, c, r } = value;
  return v === 1 && Number.isSafeInteger(n) && n >= 0 && areObjects(e) && e.every((item) => has(item, "d")) && (s === void 0 || areObjects(s) && s.every((entry) => has(entry, "k") && typeof entry.k === "string")) && (c === void 0 || Array.isArray(c) && c.length === 3 && c.every(Number.isInteger)) && (r === void 0 || Number.isInteger(r));
}
var areObjects = (value) => Array.isArray(value) && value.every(isObject);
function isDeeper(value, levels) {
  return isNested(value) && (!levels || Object.values(value).some((member) => isDeeper(member, levels - 1)));
}

// ask.ts
var TRIES_MAX = 7;
function ask(url, answered, report) {
  let tries = 0;
  let timer;
  async function once() {
    tries++;
    let found;
    try {
      const response = await fetch(url);
      if (response.ok) found = answer(await response.json());
      else if (response.status < 500 && response.status !== 429) {
        tries = TRIES_MAX;
        report(new Error(`stateUrl answers ${response.status}`));
      }
    } catch {
    }
    if (found) answered(found);
    else again();
  }
  function again() {
    if (tries < TRIES_MAX) timer = setTimeout(once, 1e3 * 2 ** (tries - 1) * (0.7 + 0.6 * Math.random()));
  }
  function stop() {
    tries = TRIES_MAX;
    answered = () => {
    };
    clearTimeout(timer);
  }
  void once();
  return { again, stop };
}
function answer(value) {
  if (!isObject(value)) return void 0;
  const { n, s, since } = value;
  const base = plain(JSON.stringify({ v: 1, n, s, c: [0, 0, 1], e: [] }));
  const good = Array.isArray(since) && since.every((pair) => Array.isArray(pair) && Number.isInteger(pair[0]) && typeof pair[1] === "string");
  return base?.s && good ? { base, since } : void 0;
}

// dictionary.ts
var DICTIONARY = '"status":"open","action":"start","stop","show","hide","url":"https://"title":"","time":0."items":[],"total":10,"points":,"rank":,"price":,"count":,"value":,"user":"","name":"the ","text":" and "options":["A","B","C","D"],"correct":true,false,null,"question":,"answer":"score":{"a":1,"b":2,"id":"leaderboard","chat.message","quiz.answer","poll","vote","r":1,"c":[0,0,1],"s":[{"k":"","x":1},{"k":"","m":"none"}]}"},"k":"","m":"patch","m":"min","m":"max"},"t":"","k":"","m":"sum"},{"d":{"v":1,"n":17,"e":[{"d":{"';

// decode.ts
var ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-";
var DECODED_MAX = 65536;
function decode(body) {
  const bytes = base91(body);
  const plain2 = bytes && inflate(bytes);
  return plain2 && utf8(plain2);
}
function base91(text2) {
  const out = new Uint8Array(text2.length + 1);
  let [length, bits, held, low] = [0, 0, 0, -1];
  for (const character of text2) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return void 0;
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
  if (low >= 0) out[length++] = bits | low << held;
  return out.subarray(0, length);
}
function utf8(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += `%${(byte + 256).toString(16).slice(1)}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return void 0;
  }
}
var CODE_BITS_MAX = 15;
var LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
var END_OF_BLOCK = 256;
function malformed() {
  throw new Error();
}
function code(lengths, single) {
  const made = /* @__PURE__ */ new Map();
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
var repeat = (value, times) => new Array(times).fill(value);
function inflate(input) {
  const from = DICTIONARY.length;
  const out = new Uint8Array(from + DECODED_MAX);
  for (let i = 0; i < from; i++) out[i] = DICTIONARY.charCodeAt(i);
  let [end, at, bit, held] = [from, 0, 0, 0];
  function bits(count) {
    while (held < count) {
      if (at === input.length) malformed();
      bit |= input[at++] << held;
      held += 8;
    }
    const value = bit & (1 << count) - 1;
    bit >>>= count;
    held -= count;
    return value;
  }
  function put2(byte) {
    if (end === out.length) malformed();
    out[end++] = byte;
  }
  function symbol(of) {
    for (let read = 1; read <= 1 << CODE_BITS_MAX; ) {
      read = read * 2 + bits(1);
      const found = of.get(read);
      if (found !== void 0) return found;
    }
    return malformed();
  }
  function stored() {
    bit = held = 0;
    const length = bits(16);
    if (length !== (~bits(16) & 65535)) malformed();
    for (let i = 0; i < length; i++) put2(bits(8));
  }
  function dynamic() {
    const [literals, distances, count] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    if (literals > 286 || distances > 30) malformed();
    const order = repeat(0, LENGTH_ORDER.length);
    for (let i = 0; i < count; i++) order[LENGTH_ORDER[i]] = bits(3);
    const meta = code(order);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const found = symbol(meta);
      if (found < 16) lengths.push(found);
      else if (found > 16) lengths.push(...repeat(0, found === 17 ? 3 + bits(3) : 11 + bits(7)));
      else lengths.push(...repeat(lengths.at(-1) ?? malformed(), 3 + bits(2)));
    }
    if (lengths.length > literals + distances || !lengths[END_OF_BLOCK]) malformed();
    return [code(lengths.slice(0, literals), true), code(lengths.slice(literals), true)];
  }
  function compressed([literals, distances]) {
    for (; ; ) {
      const found = symbol(literals);
      if (found === END_OF_BLOCK) return;
      if (found < END_OF_BLOCK) {
        put2(found);
        continue;
      }
      const long = found - 257;
      if (long > 28) malformed();
      const more = long < 8 || long === 28 ? 0 : (long >> 2) - 1;
      const length = long === 28 ? 258 : 3 + (long < 8 ? long : 4 + (long & 3) << more) + bits(more);
      const near = symbol(distances);
      if (near > 29) malformed();
      const extra = near < 4 ? 0 : near - 2 >> 1;
      const distance = (near < 4 ? near : 2 + (near & 1) << extra) + 1 + bits(extra);
      if (distance > end) malformed();
      for (let i = 0; i < length; i++) put2(out[end - distance]);
    }
  }
  try {
    for (let last = 0; !last; ) {
      last = bits(1);
      const type = bits(2);
      if (type === 0) stored();
      else if (type === 1) compressed(fixed());
      else if (type === 2) compressed(dynamic());
      else return void 0;
    }
  } catch {
    return void 0;
  }
  return at === input.length ? out.subarray(from, end) : void 0;
}
function fixed() {
  const lengths = [...repeat(8, 144), ...repeat(9, 112), ...repeat(7, 24), ...repeat(8, 8)];
  return [code(lengths), code(repeat(5, 32))];
}

// merge.ts
var MERGES = {
  replace: (_, data) => data,
  patch: patched,
  sum: numbers(add),
  max: numbers((a, b) => a < b ? b : a),
  min: numbers((a, b) => a > b ? b : a)
};
var isMerge = (name) => typeof name === "string" && has(MERGES, name);
var merged = (merge, value, data) => MERGES[merge](value, data);
var isNumber = (value) => Number.isFinite(value);
function numbers(make) {
  return (value, data) => {
    if (isNumber(value) && isNumber(data)) return make(value, data);
    if (!isObject(value) || !isObject(data)) return data;
    const made = { ...value };
    for (const [name, more] of Object.entries(data)) {
      const before = has(value, name) ? value[name] : void 0;
      put(made, name, isNumber(before) && isNumber(more) ? make(before, more) : more);
    }
    return made;
  };
}
function patched(value, patch) {
  if (!isObject(patch)) return patch;
  const made = isObject(value) ? { ...value } : {};
  for (const [name, member] of Object.entries(patch)) {
    if (member === null) delete made[name];
    else put(made, name, patched(has(made, name) ? made[name] : void 0, member));
  }
  return made;
}
function put(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}
function add(a, b) {
  const [[x, left], [y, right]] = [decimal(a), decimal(b)];
  const scale = Math.min(left, right);
  const whole = (digits, own) => digits * 10n ** BigInt(own - scale);
  const exact = Number(`${whole(x, left) + whole(y, right)}e${scale}`);
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, exact));
}
function decimal(value) {
  const [mantissa, exponent] = value.toExponential().split("e");
  const [, fraction = ""] = mantissa.split(".");
  return [BigInt(mantissa.replace(".", "")), Number(exponent) - fraction.length];
}
function same(a, b) {
  if (a === b) return true;
  if (!isNested(a) || !isNested(b) || isObject(a) !== isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => has(b, name) && same(a[name], b[name]));
}

// slices.ts
var SLICES_MAX = 16;
var OPEN_MAX = 3;
var OPEN_S = 30;
var FINISHED_MAX = 8;
var Slices = class {
  #open = /* @__PURE__ */ new Map();
  #finished = /* @__PURE__ */ new Set();
  /** Returns what a slice completes, nothing where it does not, and false where the text is no slice. */
  push(slice, time, now) {
    const digits = [...slice.slice(2, 8)].map((character) => ALPHABET.indexOf(character));
    const [part, count] = digits.splice(4);
    if (digits.includes(-1) || !(0 <= part && part < count && count <= SLICES_MAX)) return false;
    const id = digits.reduceRight((sum, digit) => sum * 91 + digit);
    const name = id * 91 + count;
    if (this.#finished.has(name)) return void 0;
    const clock = time ?? now;
    for (const [other, { since }] of this.#open) if (Math.abs(clock - since) > OPEN_S) this.#open.delete(other);
    const open = this.#open.get(name) ?? { since: clock, time, parts: [] };
    this.#open.set(name, open);
    if (this.#open.size > OPEN_MAX) dropFirst(this.#open);
    open.parts[part] ??= slice.slice(8);
    if (time !== void 0) open.time = Math.max(open.time ?? time, time);
    for (let i = 0; i < count; i++) if (open.parts[i] === void 0) return void 0;
    this.#open.delete(name);
    this.#finished.add(name);
    if (this.#finished.size > FINISHED_MAX) dropFirst(this.#finished);
    const body = open.parts.join("");
    return { text: identity(body) === id ? decode(body) : void 0, time: open.time, size: body.length };
  }
  clear() {
    this.#open.clear();
    this.#finished.clear();
  }
};
function dropFirst(of) {
  of.delete(of.keys().next().value);
}
function identity(body) {
  let hash = 2166136261;
  for (let i = 0; i < body.length; i++) hash = Math.imul(hash ^ body.charCodeAt(i), 16777619);
  return (hash >>> 0) % 91 ** 4;
}

// state.ts
var KEYS_MAX = 16384;
var State = class {
  #keys = /* @__PURE__ */ new Map();
  #cycle;
  /** What has a smaller number counts for no state. */
  floor;
  complete;
  /** Called at every change, where it is set. */
  changed;
  constructor(floor, complete, changed) {
    this.floor = floor;
    this.complete = complete;
    this.changed = changed;
  }
  value(key) {
    return this.#keys.get(key)?.value;
  }
  known(key) {
    return this.#keys.get(key)?.sure ?? this.complete;
  }
  keys() {
    return [...this.#keys].filter(([, known]) => known.value !== void 0).map(([key]) => key);
  }
  /** What comes before the items of a payload. */
  begin({ n, s = [] }) {
    if (n < this.floor) return;
    for (const [key, entry] of new Map(s.map((entry2) => [entry2.k, entry2]))) this.#entry(n, key, entry);
  }
  #entry(n, key, entry) {
    const known = this.#keys.get(key);
    if (known && n <= known.n) return;
    const deleted = entry.x === 1;
    const given2 = deleted || has(entry, "d");
    const value = deleted ? void 0 : given2 ? entry.d : known?.value;
    const sure = given2 || value !== void 0 && known.sure;
    this.#put(key, { value, n: n - 1, position: Infinity, sure });
  }
  item(n, position, { k: key, m: merge = "replace", d: data }) {
    if (typeof key !== "string" || !isMerge(merge) || n < this.floor) return;
    const known = this.#keys.get(key);
    if (known && (n < known.n || n === known.n && position <= known.position)) return;
    const replaced = merge === "replace";
    const value = replaced && data === null ? void 0 : merged(merge, known?.value, data);
    this.#put(key, { value, n, position, sure: replaced || this.known(key) });
  }
  /** What comes after the items of a payload. */
  end({ n, c }) {
    if (!c) return;
    const [offset, part, last] = c;
    const start2 = n - offset;
    if (offset < 0 || part < 0 || last !== 0 && last !== 1 || start2 < (this.#cycle?.start ?? 0)) return;
    if (this.#cycle?.start !== start2) this.#cycle = { start: start2, parts: /* @__PURE__ */ new Set() };
    const cycle = this.#cycle;
    cycle.parts.add(part);
    if (last) cycle.last = part;
    if (cycle.last === void 0) return;
    for (let i = 0; i <= cycle.last; i++) if (!cycle.parts.has(i)) return;
    for (const [key, known] of [...this.#keys]) {
      const told = known.n + (known.position === Infinity ? 1 : 0);
      if (told < start2) this.#put(key, { ...known, value: void 0, sure: true });
    }
    this.complete = true;
  }
  /** Payloads may be missing between the last one and the next. */
  gap() {
    this.complete = false;
    this.#cycle = void 0;
    for (const known of this.#keys.values()) known.sure = false;
  }
  /** The same values keep their references. Returns the keys that differ. */
  follow(old) {
    const differ = [];
    for (const key of /* @__PURE__ */ new Set([...old.keys(), ...this.keys()])) {
      const [known, before] = [this.#keys.get(key), old.value(key)];
      if (known && same(known.value, before)) known.value = before;
      else if (known?.value !== before) differ.push(key);
    }
    return differ;
  }
  #put(key, next) {
    const before = this.value(key);
    const changed = !same(before, next.value);
    if (!changed) next.value = before;
    this.#keys.delete(key);
    this.#keys.set(key, next);
    if (changed) this.changed?.(key, next.value);
    if (this.#keys.size <= KEYS_MAX) return;
    const [[oldest, { value }]] = this.#keys;
    this.#keys.delete(oldest);
    if (value !== void 0) this.changed?.(oldest, void 0);
  }
};

// core.ts
var HELD_MAX = 2e3;
var HELD_CHARACTERS_MAX = 1 << 20;
var EARLY_S = 0.02;
var inOrder = (a, b) => a.at === b.at ? a.rank - b.rank || 0 : a.at - b.at;
var text = (value) => typeof value === "string" ? value : void 0;
function player(options, stop) {
  const listeners = /* @__PURE__ */ new Map();
  const slices = new Slices();
  const kept = /* @__PURE__ */ new Map();
  let characters = 0;
  let pending = [];
  let latest = -Infinity;
  let clock;
  let sought = -Infinity;
  let stale = false;
  let current = new State(-1, false, changed);
  let [run, entered, runs] = [0, 0, 0];
  let firing = false;
  let epoch = 0;
  let offered;
  let first;
  const asking = options.stateUrl ? ask(
    options.stateUrl,
    (answer2) => {
      offered = answer2;
      settle();
    },
    report
  ) : void 0;
  function on(name, listener) {
    const own = (event) => listener(event);
    const all = listeners.get(name) ?? /* @__PURE__ */ new Set();
    listeners.set(name, all.add(own));
    return () => void all.delete(own);
  }
  function close() {
    asking?.stop();
    listeners.clear();
    epoch++;
  }
  function push(sent, time) {
    const found = unseal(sent, Number.isFinite(time) ? time : void 0, slices, clock);
    if (found) hold(found, sent);
  }
  function tick(now) {
    clock = now;
    fire();
  }
  function seek(to) {
    epoch++;
    slices.clear();
    clock = sought = to;
    const all = ordered();
    for (const each of all) each.done = each.at <= to;
    const before = all.filter((each) => each.done);
    pending = all.filter((each) => !each.done);
    const last = before.at(-1)?.run;
    run = last !== void 0 && last === pending[0]?.run ? last : ++runs;
    rebuild(before, run);
  }
  function reset() {
    epoch++;
    slices.clear();
    asking?.stop();
    offered = first = void 0;
    kept.clear();
    pending = [];
    characters = 0;
    latest = sought = -Infinity;
    run = ++runs;
    rebuild([], run);
  }
  function hold({ payload, time, size }, sent) {
    const name = payload ? payload.n : time === void 0 ? {} : `${time} ${sent}`;
    const again = kept.get(name);
    if (again) {
      again.run = run;
      return;
    }
    const at = time ?? clock ?? latest;
    latest = Math.max(latest, at);
    const rank = payload && time !== void 0 ? payload.n : Infinity;
    const done = time !== void 0 && time <= sought;
    keep(name, { payload, text: sent, time, size, at, rank, run, done });
    stale ||= done;
    if (clock === void 0 || time === void 0) fire();
  }
  function keep(name, held) {
    kept.set(name, held);
    characters += held.size;
    if (!held.done) {
      let place = pending.length;
      while (place && inOrder(pending[place - 1], held) > 0) place--;
      pending.splice(place, 0, held);
    }
    for (const [oldest, gone] of kept) {
      if (kept.size <= HELD_MAX && characters <= HELD_CHARACTERS_MAX) break;
      pending = pending.filter((each) => each !== gone);
      kept.delete(oldest);
      characters -= gone.size;
    }
  }
  function ordered() {
    return [...kept.values()].sort(inOrder);
  }
  function fire() {
    if (firing) return;
    firing = true;
    if (stale) rebuild(allDone(), run);
    for (let next; (next = pending[0]) && next.at <= (clock ?? Infinity) + (options.early ?? EARLY_S); ) {
      pending.shift();
      apply(next);
    }
    firing = false;
  }
  function apply(held) {
    const { payload, time } = held;
    const late = Math.max(0, clock - time || 0);
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
    if (payload.r !== void 0 && payload.r > current.floor) rebuild(allDone(), run, payload.r, current.complete);
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
  function emitItem(item, n, time, late) {
    const [type, key] = [text(item.t), text(item.k)];
    const { m: merge = "replace" } = item;
    const event = {
      type,
      data: item.d,
      key,
      merge: key !== void 0 && isMerge(merge) ? merge : void 0,
      id: text(item.i),
      n,
      time,
      late,
      state: key === void 0 ? void 0 : current.value(key)
    };
    if (/^(?!\*$|#)/.test(type ?? "#")) emit(type, event);
    emit("*", event);
  }
  function allDone() {
    return ordered().filter((each) => each.done);
  }
  function rebuild(records, to, floor = -1, complete = false) {
    stale = false;
    const old = current;
    const all = records.filter((each) => each.payload);
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
  function enter(next) {
    if (next !== entered) current.gap();
    entered = next;
  }
  function changed(key, value) {
    emit("#state", { key, value, deleted: value === void 0 });
  }
  function tellComplete(was) {
    if (current.complete && !was) emit("#complete", { complete: true });
  }
  function emit(name, event) {
    for (const listener of [...listeners.get(name) ?? []]) {
      try {
        listener(event);
      } catch (error) {
        report(error);
      }
    }
  }
  function report(error) {
    try {
      (options.onerror ?? globalThis.reportError ?? console.error)(error);
    } catch {
    }
  }
  function settle() {
    if (!offered) return;
    const { base, since } = offered;
    const n = first?.payload?.n;
    const place = since.findIndex(([number]) => number === n);
    if (n === void 0 && since.length) return;
    offered = void 0;
    if (n === void 0 || place >= 0) begin(base, since.slice(0, Math.max(0, place)));
    else if (n >= base.n) asking?.again();
  }
  function begin(base, before) {
    const apart = new Slices();
    const { at, run: own } = first ?? { at: clock ?? -Infinity, run };
    const put2 = (name, payload, rank, size) => kept.has(name) || keep(name, { payload, text: "", time: void 0, size, at, rank, run: own, done: true });
    put2("base", base, -1, JSON.stringify(base).length);
    for (const [, sent] of before) {
      const found = unseal(sent, 0, apart);
      if (found?.payload) put2(found.payload.n, found.payload, found.payload.n, found.size);
    }
    rebuild(allDone(), own);
  }
  return {
    on,
    state: (key) => current.value(key),
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
    close
  };
}
function unseal(sent, time, slices, clock = Date.now() / 1e3) {
  const form = sent.slice(0, 2);
  const joined = form === "~2" && slices.push(sent, time, clock);
  if (joined === false) return { payload: plain(form === "~0" ? decode(sent.slice(2)) : sent), time, size: sent.length };
  const payload = plain(joined?.text);
  return payload && { payload, time: joined.time, size: joined.size };
}

// id3.ts
var OWNER = "metadata.live-video.net";
function textOf(data) {
  if (typeof data === "string") return data;
  const { buffer = data, byteOffset = 0, byteLength } = data ?? {};
  return byteLength === void 0 ? void 0 : utf8(new Uint8Array(buffer, byteOffset, byteLength));
}
function texts(tag) {
  const found = [];
  const ascii = (from, to) => String.fromCharCode(...tag.subarray(from, to));
  const size = (at) => [0, 1, 2, 3].reduce((sum, i) => sum * 128 + tag[at + i], 0);
  if (ascii(0, 3) !== "ID3") return found;
  const end = Math.min(tag.length, 10 + size(6));
  for (let at = 10, next; at + 10 < end && tag[at]; at = next) {
    next = at + 10 + size(at + 4);
    const data = at + 10 + OWNER.length;
    if (ascii(at, at + 4) + ascii(at + 10, data + 1) !== `PRIV${OWNER}\0`) continue;
    const text2 = utf8(tag.subarray(data + 1, Math.min(next, end)));
    if (text2 !== void 0) found.push(text2);
  }
  return found;
}

// sources.ts
var SOURCES = { ivs, hls, videojs, shaka, native };
var TWICE_S = 0.1;
var RECENT = 499;
function steady(take) {
  const times = /* @__PURE__ */ new Map();
  return (text2, time) => {
    const other = times.get(text2);
    const at = Math.abs(other - time) < TWICE_S ? other : time;
    times.delete(text2);
    times.set(text2, at);
    if (times.size > RECENT) times.delete(times.keys().next().value);
    take(text2, at);
  };
}
function ivs(player2, take) {
  const name = "PlayerTextMetadataCue";
  const heard = ({ owner, text: text2, startTime }) => {
    if (owner === OWNER) take(text2, startTime);
  };
  player2.addEventListener(name, heard);
  return {
    video: () => player2.getHTMLVideoElement(),
    url: () => player2.getPath?.(),
    now: () => player2.getPosition(),
    stop: () => player2.removeEventListener(name, heard)
  };
}
function hls(player2, take) {
  const name = "hlsFragParsingMetadata";
  const heard = (_, { samples }) => {
    for (const { data, pts } of samples) for (const text2 of texts(data)) take(text2, pts);
  };
  player2.on(name, heard);
  return { video: () => player2.media, url: () => player2.url, stop: () => player2.off(name, heard) };
}
function shaka(player2, take) {
  const name = "metadataadded";
  const heard = ({ startTime, payload }) => given(payload, startTime, take);
  player2.addEventListener(name, heard);
  return {
    video: () => player2.getMediaElement(),
    url: () => player2.getAssetUri(),
    stop: () => player2.removeEventListener(name, heard)
  };
}
function videojs(player2, take) {
  const video = () => player2.el()?.querySelector("video");
  return { video, url: () => player2.currentSrc(), ...tracks(() => player2.textTracks(), take) };
}
function native(player2, take) {
  return { video: () => player2, url: () => player2.currentSrc, ...tracks(() => player2.textTracks, take) };
}
function tracks(list, take) {
  let seen = /* @__PURE__ */ new WeakSet();
  const ends = /* @__PURE__ */ new Map();
  let marks = /* @__PURE__ */ new WeakMap();
  function cue(found) {
    if (seen.has(found)) return;
    seen.add(found);
    given(found.value, found.startTime, take);
  }
  function look(anew) {
    if (anew) {
      seen = /* @__PURE__ */ new WeakSet();
      marks = /* @__PURE__ */ new WeakMap();
    }
    for (const track of Array.from(list() ?? [])) {
      if (track.kind !== "metadata") continue;
      if (track.mode === "disabled") track.mode = "hidden";
      if (!ends.has(track)) ends.set(track, hook(track, cue));
      const cues = track.cues ?? [];
      const last = cues[cues.length - 1];
      const [length, end] = marks.get(track) ?? [];
      if (length === cues.length && end === last) continue;
      marks.set(track, [cues.length, last]);
      Array.from(cues).forEach(cue);
    }
  }
  return { look, stop: () => ends.forEach((end) => end()) };
}
function hook(track, cue) {
  const add2 = track.addCue;
  if (!add2) return () => {
  };
  const hooked = (added) => {
    add2.call(track, added);
    cue(added);
  };
  track.addCue = hooked;
  return () => void (track.addCue === hooked && (track.addCue = add2));
}
function given(frame, time, take) {
  const { key, owner, info, description, data } = frame ?? {};
  const text2 = key === "PRIV" && (owner ?? info ?? description) === OWNER ? textOf(data) : void 0;
  if (text2 !== void 0) take(text2, time);
}

// attach.ts
var SEEK_S = 0.5;
var LOOK_MS = 250;
var FRAME_S = 0.25;
var SETTLE_S = 1;
var HAVE_CURRENT_DATA = 2;
var EVENTS = ["timeupdate", "seeking", "seeked", "loadstart"];
function start(kind, of, options, gone) {
  let video;
  let endFrames;
  let url;
  let position = -Infinity;
  let at = 0;
  let seekUntil = -Infinity;
  const core = player(options, stop);
  const attached = { core, count: 0 };
  core.tick(-Infinity);
  const take = steady(
    (text2, time) => guarded(() => {
      follow();
      core.push(text2, time);
    })
  );
  const source = SOURCES[kind](of, take);
  const timer = setInterval(look, LOOK_MS);
  look();
  return attached;
  function stop() {
    if (!attached.count || --attached.count) return;
    setTimeout(() => {
      if (attached.count) return;
      gone();
      clearInterval(timer);
      watch(void 0);
      source.stop();
      core.close();
    }, 0);
  }
  function follow() {
    const now = source.url();
    if (now && url && now !== url) {
      core.reset();
      core.tick(position = -Infinity);
    }
    url = now || url;
    const element = source.video() ?? void 0;
    if (element !== video) watch(element);
  }
  function guarded(work) {
    try {
      work();
    } catch (error) {
      core.report(error);
    }
  }
  function look(event, frame) {
    guarded(() => advance(event, frame));
  }
  function advance(event, frame) {
    follow();
    source.look?.();
    if (!video) return;
    const { currentTime } = video;
    const now = source.now?.() ?? (Math.abs(frame - currentTime) < FRAME_S ? frame : currentTime);
    const begun = position > -Infinity;
    if (!Number.isFinite(now) || !begun && video.readyState < HAVE_CURRENT_DATA) return;
    const clock = performance.now() / 1e3;
    if (video.seeking || event?.type.startsWith("seek")) seekUntil = clock + SETTLE_S;
    const played = video.paused ? 0 : (clock - at) * video.playbackRate;
    const jumped = now < position - SEEK_S || now > position + played + SEEK_S;
    if (begun && jumped && clock <= seekUntil) {
      core.seek(position = now);
      source.look?.(true);
    }
    position = Math.max(position, now);
    at = clock;
    core.tick(now);
  }
  function watch(next) {
    for (const name of EVENTS) {
      video?.removeEventListener(name, look);
      next?.addEventListener(name, look);
    }
    endFrames?.();
    video = next;
    endFrames = next && frames(next, (time) => look(void 0, time));
  }
}
function frames(video, frame) {
  const has2 = video.requestVideoFrameCallback;
  if (!has2 && typeof requestAnimationFrame !== "function") return () => {
  };
  const ask2 = () => has2 ? video.requestVideoFrameCallback(next) : requestAnimationFrame(next);
  let handle = ask2();
  function next(_, of) {
    handle = ask2();
    frame(of?.mediaTime);
  }
  return () => has2 ? video.cancelVideoFrameCallback(handle) : cancelAnimationFrame(handle);
}
var players = /* @__PURE__ */ new WeakMap();
function attach(kind, player2, options = {}) {
  const found = players.get(player2) ?? start(kind, player2, options, () => players.delete(player2));
  players.set(player2, found);
  found.count++;
  return found.core;
}
export {
  Slices,
  attach,
  decode
};
