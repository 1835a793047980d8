/** A channel's payloads as they are delivered: server-sent events. */

import { LINE_MAX_BYTES } from "./limits.js";

/** A delivered payload. */
export interface Payload {
  readonly kind: "payload";
  /** Its number. Show the last one as `after` to go on where a stream ended. */
  readonly n: number | undefined;
  /** Its text. */
  readonly text: string;
}

/** The gateway's word on the stream, as that this reader was too slow and missed payloads (`lagged`). */
export interface Notice {
  readonly kind: "notice";
  /** What it is about. */
  readonly name: string;
  /** What it says. */
  readonly data: string;
}

export type Update = Payload | Notice;

/** Server-sent events out of a stream of text, however it is cut. */
export class Parser {
  #line = "";
  #name: string | undefined;
  #id: number | undefined;
  #data: string[] = [];
  #kept = 0;

  /** Takes a part of the stream, and returns the events that it ends. Throws where a line or an event is too long. */
  push(part: string): Update[] {
    const lines = (this.#line + part).split("\n");
    this.#line = lines.pop() ?? "";
    const updates = lines.map((line) => this.#take(line.replace(/\r$/, ""))).filter((update) => update !== undefined);
    if (this.#kept + this.#line.length > LINE_MAX_BYTES) throw new Error("a line of the stream is too long");
    return updates;
  }

  #take(line: string): Update | undefined {
    if (line === "") return this.#event();
    const [field, value] = halves(line);
    if (field === "data") {
      this.#data.push(value);
      this.#kept += line.length;
    } else if (field === "event") this.#name = value;
    else if (field === "id") this.#id = /^\d+$/.test(value) ? Number(value) : undefined;
    if (this.#kept > LINE_MAX_BYTES) throw new Error("a line of the stream is too long");
    return undefined;
  }

  #event(): Update | undefined {
    const [name, n, data] = [this.#name, this.#id, this.#data];
    [this.#name, this.#id, this.#data, this.#kept] = [undefined, undefined, [], 0];
    if (data.length === 0) return undefined;
    const text = data.join("\n");
    return name === undefined ? { kind: "payload", n, text } : { kind: "notice", name, data: text };
  }
}

function halves(line: string): [string, string] {
  const at = line.indexOf(":");
  if (at < 0) return [line, ""];
  return [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
}
