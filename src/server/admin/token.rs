//! The token of those who may change things and see clients.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

/// A shorter token can be guessed.
const SHORTEST: usize = 16;

/// The file that holds the token, on its only line. It is read each time, so that a new token needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// The file at `path`, which must hold a token now.
    ///
    /// # Errors
    /// When it cannot be read, or holds none.
    pub fn new(path: &Path) -> Result<Self, TokenError> {
        let file = Self(path.to_owned());
        file.read().map(|_| file)
    }

    /// Whether that is the token. The time it takes does not depend on where the two differ.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn is(&self, offered: &[u8]) -> Result<bool, TokenError> {
        let token = self.read()?;
        Ok(token.as_bytes().ct_eq(offered).into())
    }

    fn read(&self) -> Result<String, TokenError> {
        let error = |reason| TokenError {
            path: self.0.clone(),
            reason,
        };
        let text =
            fs::read_to_string(&self.0).map_err(|source| error(Reason::Unreadable(source)))?;
        let token = text.trim();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error(Reason::NoToken));
        }
        Ok(token.to_owned())
    }
}

/// A file without a token.
#[derive(Debug)]
pub struct TokenError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable(io::Error),
    NoToken,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Unreadable(source) => {
                write!(f, "the admin token cannot be read from {path}: {source}")
            }
            Reason::NoToken => write!(
                f,
                "{path} holds no admin token: it is one line of at least {SHORTEST} visible ASCII characters, such as \
                 `openssl rand -hex 32` writes"
            ),
        }
    }
}

impl std::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_what_the_file_holds_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let file = TokenFile::new(&path).unwrap();
        assert!(file.is(b"0123456789abcdef").unwrap());
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeg",
            "0123456789abcdef\n",
        ] {
            assert!(!file.is(wrong.as_bytes()).unwrap(), "{wrong:?}");
        }
        fs::write(&path, "fedcba9876543210").unwrap();
        assert!(!file.is(b"0123456789abcdef").unwrap());
        assert!(file.is(b"fedcba9876543210").unwrap());
        fs::remove_file(&path).unwrap();
        assert!(file.is(b"fedcba9876543210").is_err());
    }

    #[test]
    fn a_file_without_a_token_is_refused_without_being_shown() {
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
