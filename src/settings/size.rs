//! Sizes as people write them: `1GiB`, `512M`, `65536`.

/// Why a text is not an accepted size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a whole number with a unit.
    #[error("expected a whole number of bytes, such as 1GiB, 512MiB or 1000000")]
    NotASize,
    /// Counters would be forgotten as soon as they are made.
    #[error("{0} bytes hold too few counters to limit anybody; expected 1M or more, such as 64MiB")]
    TooFewCounters(u64),
    /// No message of the largest size fits.
    #[error("{0} bytes are too few for a message of 4 MiB; expected 20M or more, such as 64MiB")]
    TooSmallForMessages(u64),
    /// More than the machine has addresses.
    #[error("more than this machine can address")]
    TooLarge,
}

const UNITS: [(&str, u64); 17] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("b", 1),
];

/// Reads a number of bytes with a unit, in any case; at least 1.
///
/// # Errors
/// [`SizeError::NotASize`].
fn bytes(text: &str) -> Result<u64, SizeError> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit)))
        .unwrap_or((&lower, 1));
    number
        .trim_end()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|&bytes| bytes > 0)
        .ok_or(SizeError::NotASize)
}

/// The least memory for counters: with less they would be forgotten as soon as they are made, and nobody limited.
const LEAST_MEMORY: u64 = 1_000_000;

/// Reads the memory for counters, in bytes; at least a megabyte.
///
/// # Errors
/// If it is not a size, or too small.
pub fn memory(text: &str) -> Result<u64, SizeError> {
    match bytes(text)? {
        few if few < LEAST_MEMORY => Err(SizeError::TooFewCounters(few)),
        enough => Ok(enough),
    }
}

/// Reads the size of the longest message, in bytes; at least 1.
///
/// # Errors
/// If it is not a size, or too large for the machine.
pub(super) fn message(text: &str) -> Result<usize, SizeError> {
    usize::try_from(bytes(text)?).map_err(|_| SizeError::TooLarge)
}

/// The least memory for unfinished messages: a connection gets a quarter, and a message is up to 4 MiB.
const LEAST_BUFFER: u64 = 20_000_000;

/// Reads the memory for unfinished messages, in bytes.
///
/// # Errors
/// If it is not a size, too small, or too large for the machine.
pub(super) fn buffer(text: &str) -> Result<usize, SizeError> {
    match bytes(text)? {
        few if few < LEAST_BUFFER => Err(SizeError::TooSmallForMessages(few)),
        enough => usize::try_from(enough).map_err(|_| SizeError::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::{buffer, bytes, memory};

    #[test]
    fn a_buffer_that_takes_no_whole_message_is_refused() {
        assert_eq!(buffer("20M"), Ok(20_000_000));
        for text in ["16MiB", "1", "x"] {
            assert!(buffer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_that_would_hold_no_counters_is_refused() {
        assert_eq!(memory("1M"), Ok(1_000_000));
        for text in ["64", "999999", "100k", "0"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_decimal_or_binary() {
        for (text, expected) in [
            ("1", 1),
            ("64k", 64_000),
            ("64KiB", 65_536),
            ("512M", 512_000_000),
            ("512 MiB", 536_870_912),
            ("1G", 1_000_000_000),
            ("1gib", 1 << 30),
            ("2TiB", 1 << 41),
            ("10b", 10),
            ("512Mi", 512 << 20),
            ("1Gi", 1 << 30),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "0", "-1", "1.5G", "G", "1XiB", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
