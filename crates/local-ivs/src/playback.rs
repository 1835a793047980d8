//! What viewers of a live channel get: HLS of a test picture or of what an encoder sends, with the channel's metadata
//! in it as ID3.
//!
//! The test picture is pure functions: a segment follows from its number and its metadata, so every viewer gets the same
//! bytes and nothing is kept for them. It is a sample of eight seconds (`playback/sample.ts`, made by
//! `playback/make_sample.py`), which repeats with new timestamps. An encoder's segments are kept for a while. Nothing here
//! knows HTTP or RTMP, or reads a clock.
//!
//! | room | what it holds |
//! |---|---|
//! | `broadcast` | when which segment is on the air, and its number |
//! | `playlist` | the playlists, and the names in them |
//! | `segment` | one segment, from the sample and the metadata |
//! | `picture` | what an encoder sends, as segments |
//! | `format` | what an encoder says of its video and audio |
//! | `sample` | the sample, cut into its seconds |
//! | `id3` | the tags |
//! | `ts` | packets of a transport stream: counters, timestamps, the program map |

mod broadcast;
mod format;
mod id3;
mod picture;
mod playlist;
mod sample;
mod segment;
mod ts;

pub(crate) use broadcast::Broadcast;
pub(crate) use format::{AudioFacts, AudioFormat, VideoFacts, VideoFormat};
#[cfg(test)]
pub(crate) use picture::Window;
pub(crate) use picture::{Facts, Picture, StreamError, VideoFrame};
pub(crate) use playlist::{MASTER, Resource, master, master_of, media, media_of};
pub(crate) use segment::{Tag, packets_of, segment};

#[cfg(test)]
mod tests;
