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

/** What the `PRIV` frames of that owner hold, in their order. */
export function texts(tag: Uint8Array): string[] {
  const found: string[] = [];
  const ascii = (from: number, to: number) => String.fromCharCode(...tag.subarray(from, to));
  const number = (at: number, bits: number) => [0, 1, 2, 3].reduce((sum, i) => sum * 2 ** bits + tag[at + i]!, 0);
  for (let at = 0; ascii(at, at + 3) === "ID3"; ) {
    const [version, flags] = [tag[at + 3]!, tag[at + 5]!];
    // The sizes of ID3v2.4 are syncsafe: seven bits a byte. Of ID3v2.3, only that of the tag.
    const bits = version < 4 ? 8 : 7;
    const end = Math.min(tag.length, at + 10 + number(at + 6, 7));
    let frame = at + 10;
    if (flags & 0x40) frame += number(frame, bits) + (version < 4 ? 4 : 0);
    for (let size; frame + 10 <= end && tag[frame]; frame += 10 + size) {
      size = number(frame + 4, bits);
      const [from, to] = [frame + 10, Math.min(end, frame + 10 + size)];
      const zero = tag.indexOf(0, from);
      if (ascii(frame, frame + 4) !== "PRIV" || zero < 0 || zero >= to || ascii(from, zero) !== OWNER) continue;
      const text = utf8(tag.subarray(zero + 1, to));
      if (text !== undefined) found.push(text);
    }
    at = end + (flags & 0x10 ? 10 : 0);
  }
  return found;
}
