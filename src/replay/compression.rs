//! Compressed logs: gzip is read as it is, other formats are named.

use std::io::{self, BufRead, BufReader};

use flate2::bufread::MultiGzDecoder;

const BUFFER_BYTES: usize = 256 << 10;

/// Formats that are recognised by the first bytes, with the program that decompresses them.
const OTHERS: [(&[u8], CompressedLogError); 4] = [
    (
        b"\x28\xb5\x2f\xfd",
        CompressedLogError {
            format: "zstd",
            program: "zstd -dc",
        },
    ),
    (
        b"\xfd7zXZ\x00",
        CompressedLogError {
            format: "xz",
            program: "xz -dc",
        },
    ),
    (
        b"BZh",
        CompressedLogError {
            format: "bzip2",
            program: "bzip2 -dc",
        },
    ),
    (
        b"PK\x03\x04",
        CompressedLogError {
            format: "zip",
            program: "unzip -p",
        },
    ),
];

/// The log is compressed in another format than gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is compressed with {format}; use `{program} LOG | weir replay -`")]
pub struct CompressedLogError {
    format: &'static str,
    program: &'static str,
}

/// A log, decompressed if it begins as gzip does.
pub struct LogReader {
    /// The lines.
    pub lines: Box<dyn BufRead + Send>,
    /// Whether `lines` differ from the bytes of the log.
    pub is_compressed: bool,
}

/// Decompresses a log if need be.
///
/// # Errors
/// If it cannot be read, or is compressed in another format: the source is then a [`CompressedLogError`].
pub fn decompressed(mut log: impl BufRead + Send + 'static) -> io::Result<LogReader> {
    let begin = loop {
        match log.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            begin => break begin?,
        }
    };
    if let Some((_, other)) = OTHERS.iter().find(|(magic, _)| begin.starts_with(magic)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, *other));
    }
    if !begin.starts_with(b"\x1f\x8b") {
        return Ok(LogReader {
            lines: Box::new(log),
            is_compressed: false,
        });
    }
    // Rotation appends members to a file; all of them are read.
    let lines = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(log));
    Ok(LogReader {
        lines: Box::new(lines),
        is_compressed: true,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(log: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        let mut lines = decompressed(io::Cursor::new(log))?.lines;
        lines.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn every_member_of_a_gzip_file_is_read() {
        let log = [member("a\n"), member("b\n")].concat();
        assert_eq!(read(log.clone()).unwrap(), "a\nb\n");
        assert_eq!(read(b"a\n".to_vec()).unwrap(), "a\n");
        assert_eq!(read(Vec::new()).unwrap(), "");
        assert!(read(log[..log.len() - 3].to_vec()).is_err(), "cut off");
    }

    #[test]
    fn other_formats_are_named_with_the_program_that_reads_them() {
        let error = read(b"\x28\xb5\x2f\xfd...".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is compressed with zstd; use `zstd -dc LOG | weir replay -`"
        );
    }
}
