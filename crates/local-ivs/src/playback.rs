//! What viewers of a live channel get: HLS of a test picture, with the channel's metadata in it as ID3.
//!
//! Pure functions: a segment follows from its number and its metadata, so every viewer gets the same bytes
//! and nothing is kept for them. The picture is a sample of eight seconds (`playback/sample.ts`, made by
//! `playback/make_sample.py`). It repeats with new timestamps. Nothing here knows HTTP or reads a clock.
//!
//! | room | what it holds |
//! |---|---|
//! | `broadcast` | when which segment is on the air, and its number |
//! | `playlist` | the playlists, and the names in them |
//! | `segment` | one segment, from the sample and the metadata |
//! | `sample` | the sample, cut into its seconds |
//! | `id3` | the tags |
//! | `ts` | packets of a transport stream: counters, timestamps, the program map |

mod broadcast;
mod id3;
mod playlist;
mod sample;
mod segment;
mod ts;

pub(crate) use broadcast::Broadcast;
pub(crate) use playlist::{MASTER, Resource, master, media};
pub(crate) use segment::{Tag, packets_of, segment};

#[cfg(test)]
mod tests;
