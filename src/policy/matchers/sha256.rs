//! Values that a policy knows only by their SHA-256.

use sha2::{Digest, Sha256};

/// The SHA-256 of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sha256Hash([u8; Self::LEN]);

impl Sha256Hash {
    const LEN: usize = 32;

    /// The hash of a value.
    pub(crate) fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// Reads 64 digits in either case.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 2 * Self::LEN {
            return None;
        }
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let mut hash = [0; Self::LEN];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl Sha256Hash {
    /// Its bytes.
    pub(in crate::policy) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Its 64 digits, in lower case.
    pub(in crate::policy) fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its first eight digits.
    pub(crate) fn short(&self) -> String {
        self.0[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_either_case() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256Hash::from_hex(hex), Some(Sha256Hash::of(b"abc")));
        assert_eq!(
            Sha256Hash::from_hex(&hex.to_uppercase()),
            Some(Sha256Hash::of(b"abc"))
        );
    }

    #[test]
    fn invalid_hashes_are_rejected() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for wrong in ["", "00", &hex[1..], &hex.replace('b', "g"), &"é".repeat(32)] {
            assert_eq!(Sha256Hash::from_hex(wrong), None, "{wrong}");
        }
    }
}
