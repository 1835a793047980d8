/** Cues of a player: its metadata into the core, and the core's clock from its picture. */

import { player, type Player } from "./core.js";
import { SOURCES, steady, type Players, type Source, type Take, type Video } from "./sources.js";
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

const EVENTS = ["timeupdate", "seeking", "seeked", "loadstart"];

interface Attached {
  readonly core: Player;
  /** How often it is attached and not stopped. */
  count: number;
}

function start(kind: keyof Players, of: object, options: Options, gone: () => void): Attached {
  let video: Video | undefined;
  let endFrames: (() => void) | undefined;
  let url: string | undefined;
  // The latest position since the last seek, and when it was that, in seconds.
  let position = -Infinity;
  let at = 0;
  // Until when a jump of the position is a seek. Otherwise the clock jumped: throttled tabs tick every few seconds.
  let seekUntil = -Infinity;

  const core = player(options, stop);
  const attached = { core, count: 0 };
  // No picture yet: nothing is due.
  core.tick(-Infinity);
  const take = steady((text, time) =>
    guarded(() => {
      follow();
      core.push(text, time);
    }),
  );
  const source = (SOURCES[kind] as (player: object, take: Take) => Source)(of, take);
  const timer = setInterval(look, LOOK_MS);
  look();
  return attached;

  function stop(): void {
    if (!attached.count || --attached.count) return;
    // In the next task: whoever attaches again in this one, as React's strict mode does, loses nothing.
    setTimeout(() => {
      if (attached.count) return;
      gone();
      clearInterval(timer);
      watch(undefined);
      source.stop();
      core.close();
    }, 0);
  }

  /** What plays where may have changed. */
  function follow(): void {
    const now = source.url();
    if (now && url && now !== url) {
      core.reset();
      core.tick((position = -Infinity));
    }
    url = now || url;
    const element = source.video() ?? undefined;
    if (element !== video) watch(element);
  }

  /** Not into a frame or an event of the player: it may be disposed of, and throw at every question. */
  function guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      core.report(error);
    }
  }

  function look(event?: Event, frame?: number): void {
    guarded(() => advance(event, frame));
  }

  function advance(event?: Event, frame?: number): void {
    follow();
    source.look?.();
    if (!video) return;
    // Some browsers count the frames of a stream from elsewhere.
    const { currentTime } = video;
    const now = source.now?.() ?? (Math.abs(frame! - currentTime) < FRAME_S ? frame! : currentTime);
    const begun = position > -Infinity;
    // A live stream begins at 0 and goes to its end when there is data: that is no seek of the viewer's.
    if (!Number.isFinite(now) || (!begun && video.readyState! < HAVE_CURRENT_DATA)) return;
    const clock = performance.now() / 1000;
    if (video.seeking || event?.type.startsWith("seek")) seekUntil = clock + SETTLE_S;
    // The element is where it goes to before it says so.
    const played = video.paused ? 0 : (clock - at) * video.playbackRate;
    const jumped = now < position - SEEK_S || now > position + played + SEEK_S;
    if (begun && jumped && clock <= seekUntil) {
      core.seek((position = now));
      source.look?.(true);
    }
    position = Math.max(position, now);
    at = clock;
    core.tick(now);
  }

  function watch(next: Video | undefined): void {
    for (const name of EVENTS) {
      video?.removeEventListener(name, look);
      next?.addEventListener(name, look);
    }
    endFrames?.();
    video = next;
    endFrames = next && frames(next, (time) => look(undefined, time));
  }
}

/** Calls at each frame of the picture, with its time where that is told, until what it returns is called. */
function frames(video: Video, frame: (time?: number) => void): () => void {
  const has = video.requestVideoFrameCallback;
  if (!has && typeof requestAnimationFrame !== "function") return () => {};
  const ask = (): number => (has ? video.requestVideoFrameCallback!(next) : requestAnimationFrame(next));
  let handle = ask();
  function next(_: number, of?: { mediaTime: number }): void {
    handle = ask();
    frame(of?.mediaTime);
  }
  return () => (has ? video.cancelVideoFrameCallback!(handle) : cancelAnimationFrame(handle));
}

const players = /* @__PURE__ */ new WeakMap<object, Attached>();

/**
 * The cues of a player. The same player has the same cues, and each `attach` its `stop`: the last one ends it. The player may
 * have no element yet.
 */
export function attach<Events extends object = AnyEvents, Kind extends keyof Players = keyof Players>(
  kind: Kind,
  player: Players[Kind],
  options: Options = {},
): Cues<Events> {
  const found = players.get(player) ?? start(kind, player, options, () => players.delete(player));
  players.set(player, found);
  found.count++;
  return found.core as unknown as Cues<Events>;
}
