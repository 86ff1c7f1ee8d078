//! The names of rules in logs, metrics and reports.

use std::fmt;
use std::sync::Arc;

/// The name of a rule: the key and the matcher of each level down to it.
///
/// It comes from the policy alone, without the matchers of secret keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleName {
    /// One for each level; at least one.
    pub levels: Box<[LevelName]>,
}

/// One level of a rule's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelName {
    /// The key.
    pub key: Arc<str>,
    /// The matcher as written, hidden for a secret key; `None` if any value matches.
    pub matcher_text: Option<Arc<str>>,
    /// The values share one counter.
    pub is_shared: bool,
    /// Values of this key are never shown.
    pub is_secret: bool,
    /// Its index in the list of descriptors, from 0.
    pub index: u32,
}

/// Such as `account, endpoint=GET /sites/{site}`.
impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, level) in self.levels.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            f.write_str(&level.key)?;
            if let Some(text) = &level.matcher_text {
                write!(f, "={text}")?;
            }
        }
        Ok(())
    }
}
