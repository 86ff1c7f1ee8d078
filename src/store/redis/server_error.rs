//! What an error of Redis, of a proxy or of the client library means. Interpreted here and nowhere else.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            ErrorKind::AuthenticationFailed => Self::NotPermitted {
                reason: excerpt(&error.to_string()),
            },
            _ if error.is_timeout() => Self::Timeout,
            _ => script_error(&error.to_string()),
        }
    }
}

/// An error by its text: of a command, or that Redis reported to the script, such as that of a full Redis (OOM).
pub(super) fn script_error(message: &str) -> StoreError {
    let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let reason = excerpt(message);
    if has(&["READONLY"]) {
        StoreError::ReadOnly
    } else if has(&[
        "NOPERM",
        "NoPerm",
        "NOAUTH",
        "WRONGPASS",
        // Redis 6 and 7 to a script.
        "The user executing the script can't",
        "ACL failure in script",
    ]) {
        StoreError::NotPermitted { reason }
    } else if has(&[
        "unknown command",
        "Unknown Redis command",
        "unsupported command",
    ]) {
        StoreError::Unsupported { reason }
    } else {
        StoreError::Unavailable { reason }
    }
}

/// The longest text of a server that is kept.
const MAX_EXCERPT_BYTES: usize = 200;

/// The beginning of a server's text, in one line. An unknown command's arguments are left out: they may be secret.
fn excerpt(text: &str) -> String {
    let (text, _) = text
        .split_once(", with args beginning with")
        .unwrap_or((text, ""));
    let line = text.trim().split(['\r', '\n']).next().unwrap_or_default();
    if line.len() <= MAX_EXCERPT_BYTES {
        return line.to_owned();
    }
    let ends = (0..=MAX_EXCERPT_BYTES).rev();
    let end = ends.into_iter().find(|&end| line.is_char_boundary(end));
    format!("{}…", &line[..end.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_server_are_cut_and_arguments_left_out() {
        let long = format!("ERR {}é{}", "x".repeat(195), "y".repeat(1_000_000));
        let StoreError::Unavailable { reason } = script_error(&long) else {
            panic!("another error");
        };
        assert_eq!(reason, format!("ERR {}…", "x".repeat(195)));
        let unknown =
            "ERR unknown command 'SET', with args beginning with: 'weir:meta' '1 random 0123'";
        let error = script_error(unknown);
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("'SET'") && !said.contains("0123"), "{said}");
    }

    #[test]
    fn errors_of_the_client_are_classified() {
        let error =
            |detail: &str| RedisError::from((ErrorKind::Client, "failed", detail.to_owned()));
        let failed = StoreError::from(error("why"));
        assert!(matches!(failed, StoreError::Unavailable { reason } if reason.contains("why")));
        let read_only = ErrorKind::Server(ServerErrorKind::ReadOnly);
        let read_only = RedisError::from((read_only, "a replica"));
        assert_eq!(StoreError::from(read_only), StoreError::ReadOnly);
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(
            StoreError::from(RedisError::from(late)),
            StoreError::Timeout
        );
    }
}
