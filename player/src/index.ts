export { attach } from "./attach.js";
export type { HlsPlayer, IvsPlayer, Players, ShakaPlayer, Video, VideojsPlayer } from "./attach.js";
export { create } from "./core.js";
export type * from "./types.js";
