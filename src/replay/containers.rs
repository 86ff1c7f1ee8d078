//! Unwraps lines that a container runtime has wrapped: Docker's json-file, and the format of CRI runtimes.

use std::borrow::Cow;

use serde::Deserialize;

use super::lines::MAX_BYTES;

/// Docker splits lines at this length; only the last part ends with a newline.
const DOCKER_PART_BYTES: usize = 16 << 10;

/// Unwraps the lines of one log, and joins lines that the runtime has split.
#[derive(Debug, Default)]
pub(super) struct ContainerLines {
    stdout: SplitLine,
    stderr: SplitLine,
}

/// The beginning of a line whose end has not been read.
#[derive(Debug, Default)]
struct SplitLine {
    text: Vec<u8>,
    is_too_long: bool,
}

/// A line without its wrapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UnwrappedLine<'l> {
    /// The text that the container has written.
    Text(Cow<'l, [u8]>),
    /// A part of a line whose end follows.
    Part,
    /// The joined line is longer than a mebibyte.
    TooLong,
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

struct Wrapped<'l> {
    stream: Stream,
    is_part: bool,
    text: Cow<'l, [u8]>,
}

#[derive(Deserialize)]
struct DockerLine<'l> {
    #[serde(borrow)]
    log: Cow<'l, str>,
    #[serde(borrow)]
    stream: Cow<'l, str>,
}

impl ContainerLines {
    /// Unwraps a line; one that is not wrapped is returned as it is.
    pub(super) fn unwrap<'l>(&mut self, line: &'l [u8]) -> UnwrappedLine<'l> {
        let Some(wrapped) = docker(line).or_else(|| cri(line)) else {
            return UnwrappedLine::Text(line.into());
        };
        let split = match wrapped.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if !wrapped.is_part && split.text.is_empty() && !split.is_too_long {
            return UnwrappedLine::Text(wrapped.text);
        }
        split.is_too_long |= split.text.len() + wrapped.text.len() > MAX_BYTES;
        if split.is_too_long {
            split.text = Vec::new();
        } else {
            split.text.extend_from_slice(&wrapped.text);
        }
        if wrapped.is_part {
            return UnwrappedLine::Part;
        }
        let SplitLine { text, is_too_long } = std::mem::take(split);
        match is_too_long {
            true => UnwrappedLine::TooLong,
            false => UnwrappedLine::Text(text.into()),
        }
    }
}

/// `{"log":"…\n","stream":"stdout","time":"…"}`
fn docker(line: &[u8]) -> Option<Wrapped<'_>> {
    if !line.starts_with(b"{\"log\":") {
        return None;
    }
    let DockerLine { log, stream } = serde_json::from_slice(line).ok()?;
    let is_part = log.len() >= DOCKER_PART_BYTES && !log.ends_with('\n');
    Some(Wrapped {
        stream: stream_named(stream.as_bytes())?,
        is_part,
        text: match log {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        },
    })
}

/// `2026-11-22T10:00:00.123456789Z stdout F …`; `P` in place of `F` marks a part.
fn cri(line: &[u8]) -> Option<Wrapped<'_>> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let mut words = line.splitn(4, |&byte| byte == b' ').skip(1);
    let stream = stream_named(words.next()?)?;
    let tags = words.next()?;
    let is_part = match tags.split(|&byte| byte == b':').next()? {
        b"F" => false,
        b"P" => true,
        _ => return None,
    };
    let text = words.next().unwrap_or_default().into();
    Some(Wrapped {
        stream,
        is_part,
        text,
    })
}

fn stream_named(name: &[u8]) -> Option<Stream> {
    match name {
        b"stdout" => Some(Stream::Stdout),
        b"stderr" => Some(Stream::Stderr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> UnwrappedLine<'_> {
        UnwrappedLine::Text(line.as_bytes().into())
    }

    #[test]
    fn lines_of_container_runtimes_are_unwrapped() {
        let mut lines = ContainerLines::default();
        for (wrapped, expected) in [
            (
                r#"{"log":"{\"a\": 1}\n","stream":"stdout","time":"t"}"#,
                "{\"a\": 1}\n",
            ),
            ("2026-11-22T10:00:00.123Z stdout F {\"a\": 1}", "{\"a\": 1}"),
            ("2026-11-22T10:00:00.123+01:00 stderr F:x a b", "a b"),
            ("2026-11-22T10:00:00Z stdout F", ""),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#"{"log":"its own"}"#, r#"{"log":"its own"}"#),
            ("2026-11-22 10:00:00 stdout", "2026-11-22 10:00:00 stdout"),
        ] {
            assert_eq!(
                lines.unwrap(wrapped.as_bytes()),
                text(expected),
                "{wrapped}"
            );
        }
    }

    #[test]
    fn split_lines_are_joined_for_each_stream() {
        let mut lines = ContainerLines::default();
        assert_eq!(lines.unwrap(b"2026 stdout P {\"a\""), UnwrappedLine::Part);
        assert_eq!(lines.unwrap(b"2026 stderr F other"), text("other"));
        assert_eq!(lines.unwrap(b"2026 stdout P : "), UnwrappedLine::Part);
        assert_eq!(lines.unwrap(b"2026 stdout F 1}"), text("{\"a\": 1}"));
        let long = "x".repeat(DOCKER_PART_BYTES);
        let docker = |text: &str| format!(r#"{{"log":"{text}","stream":"stdout","time":"t"}}"#);
        assert_eq!(lines.unwrap(docker(&long).as_bytes()), UnwrappedLine::Part);
        assert_eq!(
            lines.unwrap(docker("y\\n").as_bytes()),
            text(&format!("{long}y\n"))
        );
    }

    #[test]
    fn a_joined_line_is_bounded() {
        let mut lines = ContainerLines::default();
        let part = format!("2026 stdout P {}", "x".repeat(MAX_BYTES / 2 + 1));
        for _ in 0..3 {
            assert_eq!(lines.unwrap(part.as_bytes()), UnwrappedLine::Part);
        }
        assert_eq!(lines.unwrap(b"2026 stdout F x"), UnwrappedLine::TooLong);
        assert_eq!(lines.unwrap(b"2026 stdout F x"), text("x"));
    }
}
