//! Encoders that stream: RTMP from ffmpeg or OBS, with the stream key of a channel.
//!
//! The protocol is a crate's, which has no sockets. Here are the sockets, the times an encoder may take, and the way of
//! what it sends into its channel's picture. Nothing is ever played over RTMP.

mod bounds;

use crate::limits::{
    ENCODER_GREETING, ENCODER_READ_BYTES, ENCODER_SILENCE, MAX_ENCODER_GREETING_BYTES, MAX_ENCODERS,
};
use crate::playback::{AudioFormat, StreamError, VideoFormat, VideoFrame};
use crate::state::{Publishing, State};
use bounds::{Bounds, OutOfBounds};
use shiguredo_rtmp::{
    AudioFrame, AvcPacketType, AvcSequenceHeader, RtmpConnectionEvent, RtmpConnectionState,
    RtmpServerConnection, VideoCodec, VideoFrameType,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What IVS calls its application: the path of every ingest endpoint.
const APPLICATION: &str = "app";

/// Commands with which an encoder ends its stream.
const ENDS: [&str; 3] = ["FCUnpublish", "deleteStream", "closeStream"];

/// Why an encoder's connection ended, other than by its own will.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("nothing came or went for {} s", ENCODER_SILENCE.as_secs())]
    Silent,
    #[error("its stream did not begin within {} s", ENCODER_GREETING.as_secs())]
    Slow,
    #[error("it sent more than {MAX_ENCODER_GREETING_BYTES} bytes before its stream")]
    TooMuch,
    #[error("{0}")]
    OutOfBounds(#[from] OutOfBounds),
    #[error("this is not RTMP as it should be: {0}")]
    Protocol(#[from] shiguredo_rtmp::Error),
    #[error("it was refused: {0}")]
    Refused(String),
    #[error("its stream ended: {0}")]
    Stream(#[from] StreamError),
}

/// Takes encoders. Ends never.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(MAX_ENCODERS));
    let mut encoders = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            Some(ended) = encoders.join_next() => {
                if let Err(error) = ended {
                    // Its stream ended with it, and the others go on.
                    tracing::error!(%error, "an encoder's connection broke: please report it");
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                let state = Arc::clone(&state);
                encoders.spawn(async move {
                    let session = Session::new(state);
                    if let Err(ending) = (Encoder { stream, session }).run().await {
                        tracing::warn!(%peer, "an encoder's connection was closed: {ending}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting an encoder failed");
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// One connection.
struct Encoder {
    stream: TcpStream,
    session: Session,
}

impl Encoder {
    async fn run(mut self) -> Result<(), Ending> {
        let began = timeout(ENCODER_GREETING, self.greet()).await;
        if !began.map_err(|_| Ending::Slow)?? {
            return Ok(());
        }
        while self.step().await? {}
        Ok(())
    }

    /// Until its stream begins; false if it left before.
    async fn greet(&mut self) -> Result<bool, Ending> {
        while self.session.publishing.is_none() {
            if !self.step().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads once, and answers; false at the end.
    async fn step(&mut self) -> Result<bool, Ending> {
        let mut bytes = vec![0; ENCODER_READ_BYTES];
        let read = timeout(ENCODER_SILENCE, self.stream.read(&mut bytes)).await;
        let read = read.map_err(|_| Ending::Silent)??;
        if read == 0 {
            return Ok(false);
        }
        let goes_on = self.session.take(bytes.get(..read).unwrap_or_default());
        // A refusal is told too.
        self.flush().await?;
        goes_on
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        let rtmp = &mut self.session.rtmp;
        while !rtmp.send_buf().is_empty() {
            let written = timeout(ENCODER_SILENCE, self.stream.write(rtmp.send_buf())).await;
            match written.map_err(|_| Ending::Silent)?? {
                0 => return Err(Ending::Silent),
                written => rtmp.advance_send_buf(written),
            }
        }
        Ok(())
    }
}

/// A connection without its socket: bytes in, frames and answers out.
struct Session {
    state: Arc<State>,
    bounds: Bounds,
    rtmp: RtmpServerConnection,
    /// Bytes that came before its stream.
    greeting: usize,
    publishing: Option<Publishing>,
}

impl Session {
    fn new(state: Arc<State>) -> Self {
        Self {
            state,
            bounds: Bounds::new(),
            rtmp: RtmpServerConnection::new(),
            greeting: 0,
            publishing: None,
        }
    }

    /// Takes what was read; false at the end.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Ending> {
        let let_in = self.bounds.let_in(bytes)?;
        if self.publishing.is_none() {
            self.greeting += bytes.len();
        }
        self.rtmp.feed_recv_buf(&let_in)?;
        let goes_on = self.take_events()?;
        if self.publishing.is_none() && self.greeting > MAX_ENCODER_GREETING_BYTES {
            return Err(Ending::TooMuch);
        }
        Ok(goes_on)
    }

    fn take_events(&mut self) -> Result<bool, Ending> {
        while let Some(event) = self.rtmp.next_event() {
            match event {
                RtmpConnectionEvent::PublishRequested {
                    app, stream_name, ..
                } => self.publish(&app, &stream_name)?,
                RtmpConnectionEvent::PlayRequested { .. } => {
                    return Err(self.refuse("a channel is played as HLS: see its playbackUrl"));
                }
                RtmpConnectionEvent::VideoReceived(frame) => {
                    self.push(|publishing| video(publishing, &frame))?;
                }
                RtmpConnectionEvent::AudioReceived(frame) => {
                    self.push(|publishing| audio(publishing, &frame))?;
                }
                RtmpConnectionEvent::CommandIgnored { name, .. }
                    if ENDS.contains(&name.as_str()) && self.publishing.is_some() =>
                {
                    return Ok(false);
                }
                RtmpConnectionEvent::DisconnectedByPeer { .. }
                | RtmpConnectionEvent::StateChanged(RtmpConnectionState::Disconnecting) => {
                    return Ok(false);
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// The stream key may have parameters, which have no meaning here.
    fn publish(&mut self, app: &str, name: &str) -> Result<(), Ending> {
        let key = name.split_once('?').map_or(name, |(key, _)| key);
        if app.trim_matches('/') != APPLICATION {
            return Err(self.refuse("the path is /app, and the stream's name is a stream key"));
        }
        if self.publishing.is_some() {
            return Err(self.refuse("a connection has one stream"));
        }
        match self.state.publish(key) {
            Ok(publishing) => {
                tracing::info!(channel = publishing.arn(), "an encoder streams");
                self.rtmp.accept()?;
                self.publishing = Some(publishing);
                Ok(())
            }
            Err(error) => Err(self.refuse(&error.to_string())),
        }
    }

    fn refuse(&mut self, reason: &str) -> Ending {
        match self.rtmp.reject(reason) {
            Ok(()) => Ending::Refused(reason.to_owned()),
            Err(error) => error.into(),
        }
    }

    fn push(
        &self,
        frame: impl FnOnce(&Publishing) -> Result<(), StreamError>,
    ) -> Result<(), Ending> {
        let Some(publishing) = &self.publishing else {
            return Ok(());
        };
        frame(publishing).map_err(|error| {
            publishing.fail(error);
            error.into()
        })
    }
}

fn video(publishing: &Publishing, frame: &shiguredo_rtmp::VideoFrame) -> Result<(), StreamError> {
    if frame.frame_type == VideoFrameType::VideoInfoOrCommandFrame {
        return Ok(());
    }
    if frame.codec != VideoCodec::Avc {
        return Err(StreamError::VideoFormat);
    }
    let picture = &publishing.picture;
    match frame.avc_packet_type {
        Some(AvcPacketType::SequenceHeader) => {
            let header = AvcSequenceHeader::from_bytes(&frame.data).ok();
            let format = header.and_then(|header| {
                let length_bytes = usize::from(header.length_size_minus_one) + 1;
                VideoFormat::new(length_bytes, &header.sps_list, &header.pps_list)
            });
            picture.set_video(format.ok_or(StreamError::VideoFormat)?);
        }
        Some(AvcPacketType::NalUnit) => {
            let pushed = VideoFrame {
                at_ms: frame.timestamp.as_millis(),
                shown_later_ms: frame.composition_timestamp_offset.as_millis(),
                units: &frame.data,
            };
            if let Some(facts) = picture.push_video(publishing.now_us(), pushed)? {
                publishing.learn(facts);
            }
        }
        _ => {}
    }
    Ok(())
}

fn audio(publishing: &Publishing, frame: &AudioFrame) -> Result<(), StreamError> {
    if frame.format != shiguredo_rtmp::AudioFormat::Aac {
        return Err(StreamError::AudioFormat);
    }
    let picture = &publishing.picture;
    if frame.is_aac_sequence_header {
        picture.set_audio(AudioFormat::new(&frame.data).ok_or(StreamError::AudioFormat)?);
        return Ok(());
    }
    picture.push_audio(frame.timestamp.as_millis(), &frame.data)
}

#[cfg(test)]
mod tests;
