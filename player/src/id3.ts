/** The texts of timed metadata in an ID3v2 tag. */

import { utf8 } from "./decode.js";

/** The owner of the frame that holds a payload. */
export const OWNER = "metadata.live-video.net";

/** The text of a frame's data, however a player gives it; undefined where it has none. */
export function textOf(data: unknown): string | undefined {
  if (typeof data === "string") return data;
  // By its shape: it may be of another window.
  const { buffer = data, byteOffset = 0, byteLength } = (data ?? {}) as { buffer?: unknown; byteOffset?: number; byteLength?: number };
  return byteLength === undefined ? undefined : utf8(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
}

/** What the `PRIV` frames of that owner in an ID3v2.4 tag hold, in their order. */
export function texts(tag: Uint8Array): string[] {
  const found: string[] = [];
  const ascii = (from: number, to: number) => String.fromCharCode(...tag.subarray(from, to));
  // Sizes are syncsafe: seven bits a byte.
  const size = (at: number) => [0, 1, 2, 3].reduce((sum, i) => sum * 128 + tag[at + i]!, 0);
  if (ascii(0, 3) !== "ID3") return found;
  const end = Math.min(tag.length, 10 + size(6));
  for (let at = 10, next; at + 10 < end && tag[at]; at = next) {
    next = at + 10 + size(at + 4);
    const data = at + 10 + OWNER.length;
    if (ascii(at, at + 4) + ascii(at + 10, data + 1) !== `PRIV${OWNER}\0`) continue;
    const text = utf8(tag.subarray(data + 1, Math.min(next, end)));
    if (text !== undefined) found.push(text);
  }
  return found;
}
