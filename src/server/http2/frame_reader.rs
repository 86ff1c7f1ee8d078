//! Cuts frames out of a stream of bytes.

use super::frame::{ErrorCode, FrameHead, FrameKind, HEAD_BYTES, MAX_PAYLOAD_BYTES, flag};

/// The longest SETTINGS payload that is accepted: 64 settings. RFC 9113 defines six.
const MAX_SETTINGS_BYTES: usize = 64 * 6;

/// A violation of the framing that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameError(pub(super) ErrorCode);

/// A part of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FramePiece<'a> {
    /// A control frame with its whole payload.
    Control(FrameHead, &'a [u8]),
    /// Bytes of a long payload, without padding.
    Content(FrameContent<'a>),
}

/// A part of the payload of DATA, HEADERS or CONTINUATION, or of a frame that is ignored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrameContent<'a> {
    pub(super) head: FrameHead,
    pub(super) bytes: &'a [u8],
    /// Whether the frame begins with this part; every frame has such a part, though it may be empty.
    pub(super) is_first: bool,
    /// Whether the content of the frame ends with this part.
    pub(super) is_last: bool,
    /// The stream that a HEADERS frame says it depends on.
    pub(super) depends_on: Option<u32>,
}

/// Cuts frames out of what was read. Long payloads are handed on as they come and never gathered, so
/// what is unread between two reads is at most a frame's head and one control payload.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    open: Option<OpenFrame>,
}

/// A frame whose content has not ended.
#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    head: FrameHead,
    content_left: usize,
    padding_left: usize,
    is_first: bool,
    depends_on: Option<u32>,
}

impl FrameReader {
    /// Takes the next piece from the front of `input`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the connection must end: a length or a padding that RFC 9113 forbids.
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<FramePiece<'a>>, FrameError> {
        loop {
            let Some(open) = &mut self.open else {
                match begin(input)? {
                    None => return Ok(None),
                    Some(FrameStart::Control(head, payload)) => {
                        return Ok(Some(FramePiece::Control(head, payload)));
                    }
                    Some(FrameStart::Long(open)) => self.open = Some(open),
                }
                continue;
            };
            if open.content_left > 0 || open.is_first {
                if input.is_empty() && open.content_left > 0 {
                    return Ok(None);
                }
                let (bytes, rest) = input.split_at(open.content_left.min(input.len()));
                *input = rest;
                open.content_left -= bytes.len();
                let content = FrameContent {
                    head: open.head,
                    bytes,
                    is_first: std::mem::take(&mut open.is_first),
                    is_last: open.content_left == 0,
                    depends_on: open.depends_on,
                };
                if open.content_left == 0 && open.padding_left == 0 {
                    self.open = None;
                }
                return Ok(Some(FramePiece::Content(content)));
            }
            let skipped = open.padding_left.min(input.len());
            *input = &input[skipped..];
            open.padding_left -= skipped;
            if open.padding_left > 0 {
                return Ok(None);
            }
            self.open = None;
        }
    }
}

enum FrameStart<'a> {
    Control(FrameHead, &'a [u8]),
    Long(OpenFrame),
}

/// Reads a head, and what is needed with it: a control payload, or the fields before a long payload.
fn begin<'a>(input: &mut &'a [u8]) -> Result<Option<FrameStart<'a>>, FrameError> {
    let Some((head, rest)) = input.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let head = FrameHead::decode(head);
    if head.length > MAX_PAYLOAD_BYTES {
        return Err(FrameError(ErrorCode::FrameSize));
    }
    let fixed = match head.kind {
        FrameKind::Ping => Some(8),
        FrameKind::Reset | FrameKind::WindowUpdate => Some(4),
        FrameKind::Priority => Some(5),
        _ => None,
    };
    let is_wrong = match head.kind {
        FrameKind::Settings => !head.length.is_multiple_of(6),
        FrameKind::GoAway => head.length < 8,
        _ => fixed.is_some_and(|fixed| head.length != fixed),
    };
    if is_wrong {
        return Err(FrameError(ErrorCode::FrameSize));
    }
    match head.kind {
        FrameKind::PushPromise => Err(FrameError(ErrorCode::Protocol)),
        FrameKind::Settings if head.length > MAX_SETTINGS_BYTES => {
            Err(FrameError(ErrorCode::EnhanceYourCalm))
        }
        FrameKind::Settings
        | FrameKind::Ping
        | FrameKind::Reset
        | FrameKind::WindowUpdate
        | FrameKind::Priority => {
            let Some((payload, rest)) = rest.split_at_checked(head.length) else {
                return Ok(None);
            };
            *input = rest;
            Ok(Some(FrameStart::Control(head, payload)))
        }
        _ => begin_long(head, rest, input),
    }
}

fn begin_long<'a>(
    head: FrameHead,
    rest: &'a [u8],
    input: &mut &'a [u8],
) -> Result<Option<FrameStart<'a>>, FrameError> {
    let may_pad = matches!(head.kind, FrameKind::Data | FrameKind::Headers);
    let is_padded = may_pad && head.has(flag::PADDED);
    let has_priority = head.kind == FrameKind::Headers && head.has(flag::PRIORITY);
    let fields = usize::from(is_padded) + if has_priority { 5 } else { 0 };
    if head.length < fields {
        return Err(FrameError(ErrorCode::FrameSize));
    }
    let Some((fields, rest)) = rest.split_at_checked(fields) else {
        return Ok(None);
    };
    let padding = match is_padded {
        true => usize::from(fields[0]),
        false => 0,
    };
    let Some(content_left) = (head.length - fields.len()).checked_sub(padding) else {
        return Err(FrameError(ErrorCode::Protocol));
    };
    let depends_on = match fields[usize::from(is_padded)..] {
        [a, b, c, d, _] => Some(u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff),
        _ => None,
    };
    *input = rest;
    Ok(Some(FrameStart::Long(OpenFrame {
        head,
        content_left,
        padding_left: padding,
        is_first: true,
        depends_on,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn read(mut input: &[u8]) -> Result<Option<(FrameKind, Vec<u8>)>, ErrorCode> {
        match FrameReader::default().next(&mut input) {
            Ok(Some(FramePiece::Control(head, payload))) => Ok(Some((head.kind, payload.to_vec()))),
            Ok(Some(FramePiece::Content(content))) => {
                Ok(Some((content.head.kind, content.bytes.to_vec())))
            }
            Ok(None) => Ok(None),
            Err(FrameError(code)) => Err(code),
        }
    }

    #[test]
    fn padding_and_priority_are_cut_off() {
        let padded = frame(0, flag::PADDED, 1, b"\x02abc\0\0");
        assert_eq!(read(&padded), Ok(Some((FrameKind::Data, b"abc".to_vec()))));
        let flags = flag::PADDED | flag::PRIORITY;
        let headers = frame(1, flags, 3, b"\x01\x80\0\0\x05\x10block\0");
        let mut input = &headers[..];
        let Ok(Some(FramePiece::Content(content))) = FrameReader::default().next(&mut input) else {
            panic!();
        };
        assert_eq!(content.bytes, b"block");
        assert_eq!(content.depends_on, Some(5));
        assert!(content.is_first && content.is_last);
    }

    #[test]
    fn forbidden_lengths_end_the_connection() {
        for (bytes, code) in [
            (frame(0, flag::PADDED, 1, b"\x04abc"), ErrorCode::Protocol),
            (frame(0, flag::PADDED, 1, b""), ErrorCode::FrameSize),
            (frame(1, flag::PRIORITY, 1, b"abc"), ErrorCode::FrameSize),
            (frame(6, 0, 0, b"1234567"), ErrorCode::FrameSize),
            (frame(3, 0, 1, b"12345"), ErrorCode::FrameSize),
            (frame(8, 0, 1, b"123"), ErrorCode::FrameSize),
            (frame(2, 0, 1, b"123"), ErrorCode::FrameSize),
            (frame(4, 0, 0, b"12345"), ErrorCode::FrameSize),
            (frame(7, 0, 0, b"1234567"), ErrorCode::FrameSize),
            (frame(5, 0, 1, b"12345"), ErrorCode::Protocol),
            (frame(4, 0, 0, &[0; 600]), ErrorCode::EnhanceYourCalm),
            (vec![0, 0x40, 1, 0, 0, 0, 0, 0, 1], ErrorCode::FrameSize),
        ] {
            assert_eq!(read(&bytes), Err(code), "{bytes:?}");
        }
    }

    #[test]
    fn every_frame_has_a_first_and_a_last_piece() {
        let mut bytes = frame(0, flag::PADDED, 1, b"\x03hello\0\0\0");
        bytes.extend(frame(0, flag::END_STREAM, 1, b""));
        bytes.extend(frame(0xfe, 0, 0, b"ignored"));
        for size in 1..bytes.len() {
            let mut reader = FrameReader::default();
            let (mut held, mut contents) = (Vec::new(), Vec::new());
            for chunk in bytes.chunks(size) {
                held.extend_from_slice(chunk);
                let mut input = &held[..];
                while let Some(piece) = reader.next(&mut input).unwrap() {
                    let FramePiece::Content(content) = piece else {
                        panic!();
                    };
                    if content.is_first {
                        contents.push((Vec::new(), false));
                    }
                    let open = contents.last_mut().unwrap();
                    assert!(!open.1);
                    open.0.extend_from_slice(content.bytes);
                    open.1 = content.is_last;
                }
                held = input.to_vec();
            }
            let whole = |text: &[u8]| (text.to_vec(), true);
            assert_eq!(contents, [whole(b"hello"), whole(b""), whole(b"ignored")]);
        }
    }
}
