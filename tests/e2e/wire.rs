//! A connection that sends whatever bytes a test likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use weir_harness::PATIENCE;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PING: u8 = 6;

/// Flags of frames.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server takes a connection");
        let patience = Some(PATIENCE);
        stream
            .set_read_timeout(patience)
            .expect("a timeout can be set");
        stream
            .set_write_timeout(patience)
            .expect("a timeout can be set");
        Self(stream)
    }

    /// Sends bytes; false if the server has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// What the server sends until it closes the connection.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A connection that is reset is closed, too.
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            let kind = error.kind();
            assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{error}");
        }
        bytes
    }

    /// The next bytes that the server sends.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        let read = self.0.read(&mut bytes).expect("the server sends");
        bytes.truncate(read);
        bytes
    }

    /// Reads the next bytes in which these are found.
    pub(crate) fn wait_for(&mut self, expected: &[u8]) {
        let mut seen = Vec::new();
        while !seen.windows(expected.len()).any(|part| part == expected) {
            let bytes = self.read();
            assert!(!bytes.is_empty(), "the server hung up: {seen:?}");
            seen.extend(bytes);
        }
    }
}

pub(crate) fn frame((kind, flags): (u8, u8), stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a `ShouldRateLimit` call, whose message is to follow.
pub(crate) fn call_head(stream: u32) -> Vec<u8> {
    let path = b"/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
    // POST and http by their numbers, the path by its name's number.
    let mut block = vec![
        0x83,
        0x86,
        0x04,
        u8::try_from(path.len()).expect("a short path"),
    ];
    block.extend(path);
    frame((HEADERS, END_HEADERS), stream, &block)
}
