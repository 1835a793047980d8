/** Cues of a player: its metadata into the core, and the core's clock from its picture. */

import { Player } from "./core.js";
import { SOURCES, type Players, type Source, type Video } from "./sources.js";
import type { AnyEvents, Cues, Options } from "./types.js";

export type { HlsPlayer, IvsPlayer, Players, ShakaPlayer, Video, VideojsPlayer } from "./sources.js";

/** A jump of the position that is a seek. Players themselves go over gaps of a fraction. */
const SEEK_S = 0.5;
/** How often it looks where no frame comes: an element or a source that is new, a hidden tab, a stream of sound alone. */
const LOOK_MS = 250;
/** What a frame's time and the position may differ by where they are of the same clock. */
const FRAME_S = 0.25;
/** From the element's word on a seek until the player's own position is there. */
const SETTLE_S = 1;
const HAVE_CURRENT_DATA = 2;

const EVENTS = ["timeupdate", "seeking", "seeked", "loadstart", "emptied", "playing"];

class Attached {
  readonly core: Player;
  readonly #source: Source;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #look = (event?: Event) => this.look(undefined, event);
  readonly #gone: () => void;
  count = 0;
  #video: Video | undefined;
  #endFrames: (() => void) | undefined;
  #url: string | undefined;
  /** The latest position since the last seek, and when it was that, in seconds. */
  #position = -Infinity;
  #at = 0;
  /** Until when a jump of the position is a seek. Otherwise the clock jumped: throttled tabs tick every few seconds. */
  #seekUntil = -Infinity;

  constructor(kind: keyof Players, player: object, options: Options, gone: () => void) {
    this.#gone = gone;
    this.core = new Player(options, () => this.#stop());
    // No picture yet: nothing is due.
    this.core.tick(-Infinity);
    const source = SOURCES[kind] as (player: object, take: (text: string, time: number | undefined) => void) => Source;
    this.#source = source(player, (text, time) => {
      this.#follow();
      this.core.push(text, Number.isFinite(time) ? time : undefined);
    });
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.look();
  }

  #stop(): void {
    if (this.count === 0 || --this.count > 0) return;
    // In the next task: whoever attaches again in this one, as React's strict mode does, loses nothing.
    setTimeout(() => {
      if (this.count > 0) return;
      this.#gone();
      clearInterval(this.#timer);
      this.#watch(undefined);
      this.#source.stop();
      this.core.close();
    });
  }

  /** What plays where may have changed. */
  #follow(): void {
    const url = this.#source.url();
    if (url && this.#url && url !== this.#url) {
      this.core.reset();
      this.core.tick(-Infinity);
      this.#position = -Infinity;
    }
    if (url) this.#url = url;
    const video = this.#source.video() ?? undefined;
    if (video !== this.#video) this.#watch(video);
  }

  look(frame?: number, event?: Event): void {
    this.#follow();
    this.#source.look?.();
    const video = this.#video;
    if (!video) return;
    const now = this.#source.now?.() ?? near(frame, video.currentTime);
    const begun = this.#position > -Infinity;
    // A live stream begins at 0 and goes to its end when there is data: that is no seek of the viewer's.
    if (!Number.isFinite(now) || (!begun && video.readyState! < HAVE_CURRENT_DATA)) return;
    const clock = performance.now() / 1000;
    if (video.seeking || event?.type.startsWith("seek")) this.#seekUntil = clock + SETTLE_S;
    // The element is where it goes to before it says so.
    const played = video.paused ? 0 : (clock - this.#at) * video.playbackRate;
    const jumped = now < this.#position - SEEK_S || now > this.#position + played + SEEK_S;
    if (begun && jumped && clock <= this.#seekUntil) {
      this.core.seek(now);
      this.#source.look?.(now);
      this.#position = now;
    }
    this.#position = Math.max(this.#position, now);
    this.#at = clock;
    this.core.tick(now);
  }

  #watch(video: Video | undefined): void {
    const old = this.#video;
    for (const name of EVENTS) {
      old?.removeEventListener(name, this.#look);
      video?.addEventListener(name, this.#look);
    }
    this.#endFrames?.();
    this.#endFrames = video && frames(video, (time) => this.look(time));
    this.#video = video;
  }
}

/** Calls at each frame of the picture, until what it returns is called. */
function frames(video: Video, frame: (time?: number) => void): () => void {
  let handle = 0;
  if (video.requestVideoFrameCallback) {
    const next = (_: number, { mediaTime }: { mediaTime: number }) => {
      handle = video.requestVideoFrameCallback!(next);
      frame(mediaTime);
    };
    handle = video.requestVideoFrameCallback(next);
    return () => video.cancelVideoFrameCallback?.(handle);
  }
  if (typeof requestAnimationFrame !== "function") return () => {};
  const next = () => {
    handle = requestAnimationFrame(next);
    frame();
  };
  handle = requestAnimationFrame(next);
  return () => cancelAnimationFrame(handle);
}

/** The frame's time where it is of the element's clock: some browsers count the frames of a stream from elsewhere. */
function near(frame: number | undefined, position: number): number {
  return frame !== undefined && Math.abs(frame - position) < FRAME_S ? frame : position;
}

let attached: WeakMap<object, Attached> | undefined;

/**
 * The cues of a player. The same player has the same cues, and each `attach` its `stop`: the last one ends it. The player may
 * have no element yet.
 */
export function attach<Events extends object = AnyEvents, Kind extends keyof Players = keyof Players>(
  kind: Kind,
  player: Players[Kind],
  options: Options = {},
): Cues<Events> {
  const players = (attached ??= new WeakMap<object, Attached>());
  const found = players.get(player) ?? new Attached(kind, player, options, () => players.delete(player));
  players.set(player, found);
  found.count++;
  return found.core as unknown as Cues<Events>;
}
