//! Compiles what a server sends. A domain with an error keeps what it had; the others are loaded.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::resource::PolicyText;
use crate::policy::{self, Diagnostic, LoadOptions, Policy, Severity};

/// A configuration that a server has sent, compiled.
#[derive(Debug)]
pub struct Received {
    /// The domains.
    pub policy: Policy,
    /// All errors.
    pub diagnostics: Vec<Diagnostic>,
    /// The version, as the server names it.
    pub version: String,
    /// A checksum of the texts in force, as 8 hexadecimal digits.
    pub checksum: String,
    /// Which domains keep what they had, and why; `None` if none.
    pub rejected: Option<String>,
}

/// The last text without an error of each resource.
#[derive(Debug, Default)]
pub(super) struct XdsLoader {
    options: LoadOptions,
    accepted: HashMap<PathBuf, String>,
}

impl XdsLoader {
    /// `options` apply to all domains.
    pub(super) fn new(options: LoadOptions) -> Self {
        Self {
            options,
            accepted: HashMap::new(),
        }
    }

    /// Compiles texts. Returns the configuration, and the reason for the server if some of it was rejected.
    pub(super) fn load(
        &mut self,
        mut texts: Vec<PolicyText>,
        version: &str,
    ) -> (Received, Option<String>) {
        let mut loaded = policy::load_texts(pairs(&texts), &self.options);
        let mut rejected = None;
        if !loaded.rejected.is_empty() {
            rejected = Some(reason(&loaded.rejected, &loaded.diagnostics));
            let diagnostics = std::mem::take(&mut loaded.diagnostics);
            let mut restored = HashSet::new();
            // What is restored may contradict what is new, if resources have changed their domains.
            while !loaded.rejected.is_empty() {
                texts.retain_mut(|text| self.restore(text, &loaded.rejected, &mut restored));
                loaded = policy::load_texts(pairs(&texts), &self.options);
            }
            loaded.diagnostics = diagnostics;
        }
        // Warnings are for those who write policies, and these are generated; `weir xds` shows them.
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        loaded.diagnostics.retain(is_error);
        let checksum = checksum(&texts);
        let kept = texts.into_iter().map(|text| (text.file, text.text));
        self.accepted = kept.collect();
        let received = Received {
            policy: loaded.policy,
            diagnostics: loaded.diagnostics,
            version: version.to_owned(),
            checksum,
            rejected: rejected.clone(),
        };
        (received, rejected)
    }

    /// Puts the last text without an error in the place of a rejected one, once. Returns false if there is none.
    fn restore(
        &self,
        text: &mut PolicyText,
        rejected: &[PathBuf],
        restored: &mut HashSet<PathBuf>,
    ) -> bool {
        if !rejected.contains(&text.file) {
            return true;
        }
        let before = self.accepted.get(&text.file);
        if let Some(before) = before {
            text.text.clone_from(before);
        }
        restored.insert(text.file.clone()) && before.is_some()
    }
}

fn checksum(texts: &[PolicyText]) -> String {
    let mut hash = Sha256::new();
    for PolicyText { text, .. } in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, ..] = digest;
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

fn pairs(texts: &[PolicyText]) -> impl Iterator<Item = (&Path, &str)> {
    let texts = texts.iter();
    texts.map(|PolicyText { file, text }| (file.as_path(), text.as_str()))
}

/// What is wrong, for the server's log: the first error of each resource.
fn reason(rejected: &[PathBuf], diagnostics: &[Diagnostic]) -> String {
    const MOST: usize = 5;
    let error_of = |file: &PathBuf| {
        let of_file = diagnostics.iter().filter(|found| &*found.file == file);
        let mut errors = of_file.filter(|found| found.severity == Severity::Error);
        errors.next().map(ToString::to_string)
    };
    let mut reasons: Vec<String> = rejected.iter().take(MOST).filter_map(error_of).collect();
    if rejected.len() > MOST {
        reasons.push(format!("and {} more", rejected.len() - MOST));
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests;
