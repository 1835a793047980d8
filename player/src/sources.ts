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
  readonly value?: Frame;
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
  /** Looks for what is new. After a seek, all is. */
  look?(anew?: boolean): void;
  stop(): void;
}

export const SOURCES: { [Kind in keyof Players]: (player: Players[Kind], take: Take) => Source } = { ivs, hls, videojs, shaka, native };

/** Two times of a tag. Those of two frames of sound and picture differ by less, and two calls to the API by more. */
const TWICE_S = 0.1;
/** More than a player loads again after a seek back of a minute. */
const RECENT = 499;

/**
 * What comes again with nearly the same time, as after a seek or when a segment is loaded anew, has the time that it had. The core knows what has
 * no number by its text and time.
 */
export function steady(take: Take): Take {
  const times = new Map<string, number>();
  return (text, time) => {
    const other = times.get(text);
    const at = Math.abs(other! - time!) < TWICE_S ? other! : time!;
    times.delete(text);
    times.set(text, at);
    if (times.size > RECENT) times.delete(times.keys().next().value!);
    take(text, at);
  };
}

function ivs(player: IvsPlayer, take: Take): Source {
  // It also fires for the tag that each segment begins with, whose owner is another.
  const name = "PlayerTextMetadataCue";
  const heard = ({ owner, text, startTime }: { owner: string; text: string; startTime: number }) => {
    // Not the position: it may be that of a seek already, long before a cue that was due.
    if (owner === OWNER) take(text, startTime);
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
  // Each tag comes twice, out of order, and with times that differ by a frame: as of the sound and as of the picture. The core sorts.
  const heard = ({ startTime, payload }: { startTime: number; payload: Frame }) => given(payload, startTime, take);
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
  let marks = new WeakMap<Track, [number, Cue | undefined]>();

  function cue(found: Cue): void {
    if (seen.has(found)) return;
    seen.add(found);
    given(found.value, found.startTime, take);
  }
  function look(anew?: boolean): void {
    if (anew) {
      seen = new WeakSet();
      marks = new WeakMap();
    }
    for (const track of Array.from(list() ?? [])) {
      if (track.kind !== "metadata") continue;
      // A disabled track has no cues.
      if (track.mode === "disabled") track.mode = "hidden";
      if (!ends.has(track)) ends.set(track, hook(track, cue));
      const cues = track.cues ?? [];
      const last = cues[cues.length - 1];
      // Asked at every frame: it looks through them when there are others.
      const [length, end] = marks.get(track) ?? [];
      if (length === cues.length && end === last) continue;
      marks.set(track, [cues.length, last]);
      Array.from(cues).forEach(cue);
    }
  }
  return { look, stop: () => ends.forEach((end) => end()) };
}

/** Cues at the moment when a program adds them. Those of a browser come without it, and are found by looking. */
function hook(track: Track, cue: (cue: Cue) => void): () => void {
  const add = track.addCue;
  if (!add) return () => {};
  const hooked = (added: Cue) => {
    add.call(track, added);
    cue(added);
  };
  track.addCue = hooked;
  // Whoever hooked it later keeps ours.
  return () => void (track.addCue === hooked && (track.addCue = add));
}

/** A frame of a tag: each player has its own word for the owner. */
interface Frame {
  key?: string;
  owner?: string;
  info?: string;
  description?: string;
  data?: unknown;
}

function given(frame: Frame | undefined, time: number, take: Take): void {
  const { key, owner, info, description, data } = frame ?? {};
  const text = key === "PRIV" && (owner ?? info ?? description) === OWNER ? textOf(data) : undefined;
  if (text !== undefined) take(text, time);
}
