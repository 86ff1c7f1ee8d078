//! The token that permits changes and shows clients.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use thiserror::Error;

/// The shortest token, in bytes; shorter ones can be guessed.
const MIN_LEN: usize = 16;

/// The file with the token as its only line. It is read each time, so that a new token takes effect
/// without a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// The file at `path`, which must contain a token now.
    ///
    /// # Errors
    /// If the file cannot be read, or contains no valid token.
    pub fn new(path: &Path) -> Result<Self, TokenError> {
        let file = Self(path.to_owned());
        file.read().map(|_| file)
    }

    /// Whether `offered` is the token, in a time that does not depend on where the two differ.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn matches(&self, offered: &[u8]) -> Result<bool, TokenError> {
        let token = self.read()?;
        Ok(token.as_bytes().ct_eq(offered).into())
    }

    fn read(&self) -> Result<String, TokenError> {
        let path = || self.0.clone();
        let text = fs::read_to_string(&self.0).map_err(|source| TokenError::Unreadable {
            path: path(),
            source,
        })?;
        let token = text.trim();
        if token.len() < MIN_LEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Invalid { path: path() });
        }
        Ok(token.to_owned())
    }
}

/// Why a file provides no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the admin token from {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not contain a valid token.
    #[error(
        "invalid admin token in {}: expected one line of at least {MIN_LEN} visible ASCII characters, such as from \
         `openssl rand -hex 32`",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_present_content_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let file = TokenFile::new(&path).unwrap();
        assert!(file.matches(b"0123456789abcdef").unwrap());
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeg",
            "0123456789abcdef\n",
        ] {
            assert!(!file.matches(wrong.as_bytes()).unwrap(), "{wrong:?}");
        }
        fs::write(&path, "fedcba9876543210").unwrap();
        assert!(!file.matches(b"0123456789abcdef").unwrap());
        assert!(file.matches(b"fedcba9876543210").unwrap());
        fs::remove_file(&path).unwrap();
        assert!(file.matches(b"fedcba9876543210").is_err());
    }

    #[test]
    fn a_file_without_a_token_is_rejected_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "",
            "\n",
            "sh0rt",
            "two words of a token",
            "0123456789abcdef\nx",
        ] {
            let path = folder.path().join("token");
            fs::write(&path, text).unwrap();
            let error = TokenFile::new(&path).unwrap_err().to_string();
            assert!(
                !error.contains("sh0rt") && error.contains("token"),
                "{error}"
            );
        }
    }
}
