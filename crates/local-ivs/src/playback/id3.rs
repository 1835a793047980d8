//! ID3v2.4 tags with one frame each, as IVS writes them. Format: <https://id3.org/id3v2.4.0-structure>.

/// The owner of the private frames that carry metadata. The IVS web player takes no other one but
/// `inband.metadata.live-video.net`.
const OWNER: &[u8] = b"metadata.live-video.net\0";

/// A tag's header, or a frame's: either has 10 bytes.
const HEADER: usize = 10;

/// What encloses the text in [`private`].
const PRIVATE_OVERHEAD: usize = 2 * HEADER + OWNER.len();

/// The tag of metadata: a `PRIV` frame.
pub(super) fn private(text: &str) -> Vec<u8> {
    tag(*b"PRIV", &[OWNER, text.as_bytes()])
}

/// The length of [`private`], in bytes.
pub(super) const fn private_bytes(text: &str) -> usize {
    PRIVATE_OVERHEAD + text.len()
}

/// The tag that every segment begins with. Without it the IVS web player's times of metadata are wrong by
/// seconds.
pub(super) fn segment_metadata(segment: u64) -> Vec<u8> {
    const UTF_8: &[u8] = &[3];
    let value = format!("{{\"X-SEGMENT\":{segment}}}");
    tag(*b"TXXX", &[UTF_8, b"segmentmetadata\0", value.as_bytes()])
}

fn tag(frame: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let size = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(2 * HEADER + size);
    bytes.extend(b"ID3\x04\0\0");
    bytes.extend(syncsafe(HEADER + size));
    bytes.extend(frame);
    bytes.extend(syncsafe(size));
    bytes.extend([0, 0]);
    for part in parts {
        bytes.extend(*part);
    }
    bytes
}

/// A size of less than 2^28, seven bits a byte.
fn syncsafe(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|bits| u8::try_from(size >> bits & 0x7f).unwrap_or(0x7f))
}
