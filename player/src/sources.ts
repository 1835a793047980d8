/** Where each player has its timed metadata. Players are told by their shape: none is imported. */

import { OWNER, textOf, texts } from "./id3.js";

export type Take = (text: string, time: number | undefined) => void;

/** What is needed of a `<video>`. */
export interface Video extends EventTarget {
  currentTime: number;
  readonly currentSrc: string;
  readonly seeking: boolean;
  readonly paused: boolean;
  readonly readyState?: number;
  readonly playbackRate: number;
  readonly textTracks?: Iterable<Track> | ArrayLike<Track>;
  requestVideoFrameCallback?(callback: (now: number, frame: { mediaTime: number }) => void): number;
  cancelVideoFrameCallback?(handle: number): void;
}

interface Track {
  readonly kind: string;
  mode: string;
  readonly cues: ArrayLike<Cue> | null;
  addCue?(cue: Cue): void;
}

interface Cue {
  readonly startTime: number;
  readonly value?: { key?: string; owner?: string; info?: string; data?: unknown };
}

/** A method that takes the name of an event and a listener. What a player says of these is its own. */
type Listening = (name: never, listener: never) => unknown;

export interface IvsPlayer {
  addEventListener: Listening;
  removeEventListener: Listening;
  getHTMLVideoElement(): Video;
  getPosition(): number;
  /** The source's URL, which it has and does not document. */
  getPath?(): string;
}

export interface HlsPlayer {
  on: Listening;
  off: Listening;
  readonly media: Video | null;
  readonly url: string | null;
}

export interface VideojsPlayer {
  el(): { querySelector(selectors: string): unknown } | null;
  /** A list, as of {@link Video}. */
  textTracks(): object;
  currentSrc(): string;
}

export interface ShakaPlayer {
  addEventListener: Listening;
  removeEventListener: Listening;
  getMediaElement(): Video | null;
  getAssetUri(): string | null;
}

export interface Players {
  ivs: IvsPlayer;
  hls: HlsPlayer;
  videojs: VideojsPlayer;
  shaka: ShakaPlayer;
  native: Video;
}

export interface Source {
  video(): Video | null | undefined;
  url(): string | null | undefined;
  /** The clock of its times, where that is not the element's. */
  now?(): number;
  /** Looks for what is new. After a seek, all later than `from` is. */
  look?(from?: number): void;
  stop(): void;
}

export const SOURCES: { [Kind in keyof Players]: (player: Players[Kind], take: Take) => Source } = { ivs, hls, videojs, shaka, native };

function ivs(player: IvsPlayer, take: Take): Source {
  // It also fires for the tag that each segment begins with, whose owner is another.
  const name = "PlayerTextMetadataCue";
  const heard = ({ owner, text, startTime }: { owner: string; text: string; startTime: number }) => {
    if (owner === OWNER) take(text, Math.min(startTime, player.getPosition()));
  };
  player.addEventListener(name as never, heard as never);
  return {
    video: () => player.getHTMLVideoElement(),
    url: () => player.getPath?.(),
    now: () => player.getPosition(),
    stop: () => player.removeEventListener(name as never, heard as never),
  };
}

function hls(player: HlsPlayer, take: Take): Source {
  // Not its text track: that loses the cues of the first fragment.
  const name = "hlsFragParsingMetadata";
  const heard = (_: string, { samples }: { samples: { data: Uint8Array; pts: number }[] }) => {
    for (const { data, pts } of samples) for (const text of texts(data)) take(text, pts);
  };
  player.on(name as never, heard as never);
  return { video: () => player.media, url: () => player.url, stop: () => player.off(name as never, heard as never) };
}

function shaka(player: ShakaPlayer, take: Take): Source {
  const name = "metadataadded";
  // Each tag comes twice and out of order: the core drops and sorts.
  const heard = ({ startTime, payload }: { startTime: number; payload: { key: string; description: string; data: unknown } }) => {
    if (payload.key === "PRIV" && payload.description === OWNER) given(payload.data, startTime, take);
  };
  player.addEventListener(name as never, heard as never);
  return {
    video: () => player.getMediaElement(),
    url: () => player.getAssetUri(),
    stop: () => player.removeEventListener(name as never, heard as never),
  };
}

function videojs(player: VideojsPlayer, take: Take): Source {
  const video = () => player.el()?.querySelector("video") as Video | null | undefined;
  return { video, url: () => player.currentSrc(), ...tracks(() => player.textTracks() as ArrayLike<Track>, take) };
}

function native(player: Video, take: Take): Source {
  return { video: () => player, url: () => player.currentSrc, ...tracks(() => player.textTracks, take) };
}

/**
 * The cues of all tracks of metadata. Never `activeCues` and `cuechange`: cues less than a frame apart are lost, and Safari 26
 * keeps past ones active (WebKit 299853).
 */
function tracks(list: () => Iterable<Track> | ArrayLike<Track> | undefined, take: Take): Pick<Source, "look" | "stop"> {
  let seen = new WeakSet<Cue>();
  const ends = new Map<Track, () => void>();
  const marks = new WeakMap<Track, [number, Cue | undefined]>();

  function cue(found: Cue): void {
    if (seen.has(found)) return;
    seen.add(found);
    const { key, owner, info, data } = found.value ?? {};
    if (key === "PRIV" && (owner ?? info) === OWNER) given(data, found.startTime, take);
  }
  function look(from?: number): void {
    if (from !== undefined) seen = new WeakSet();
    for (const track of Array.from(list() ?? [])) {
      if (track.kind !== "metadata") continue;
      // A disabled track has no cues.
      if (track.mode === "disabled") track.mode = "hidden";
      if (!ends.has(track)) ends.set(track, hook(track, cue));
      const cues = track.cues;
      if (!cues) continue;
      const last = cues[cues.length - 1];
      const [length, end] = marks.get(track) ?? [];
      // Asked at every frame: it looks through them when there are others.
      if (from === undefined && length === cues.length && end === last) continue;
      marks.set(track, [cues.length, last]);
      for (const each of Array.from(cues)) {
        if (from !== undefined && each.startTime <= from) seen.add(each);
        else cue(each);
      }
    }
  }
  return { look, stop: () => ends.forEach((end) => end()) };
}

/** Cues at the moment when a program adds them. Those of a browser come without it, and are found by looking. */
function hook(track: Track, cue: (cue: Cue) => void): () => void {
  const add = track.addCue;
  if (!add) return () => {};
  let on = true;
  const hooked = (added: Cue) => {
    add.call(track, added);
    if (on) cue(added);
  };
  track.addCue = hooked;
  return () => {
    on = false;
    // Whoever hooked it later keeps ours, which does nothing then.
    if (track.addCue === hooked) track.addCue = add;
  };
}

function given(data: unknown, time: number, take: Take): void {
  const text = textOf(data);
  if (text !== undefined) take(text, time);
}
