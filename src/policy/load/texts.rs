//! Domains from texts that are not files.

use std::path::{Path, PathBuf};

use super::{Load, LoadOptions, is_error};
use crate::document::{Diagnostic, Report};
use crate::policy::{Policy, raw};

/// Loads domains from texts; a text with an error leaves out its own domain only. Each comes with its name in diagnostics.
///
/// Of the options, those of files have no effect.
pub fn load_texts<'t>(
    texts: impl IntoIterator<Item = (&'t Path, &'t str)>,
    options: &LoadOptions,
) -> LoadedTexts {
    let mut load = Load {
        options: options.clone(),
        ..Load::default()
    };
    let mut rejected = Vec::new();
    for (file, text) in texts {
        let (domains, found) = (load.domains.len(), load.diagnostics.len());
        let mut report = Report::new(file);
        let raw = raw::read(text, &mut report);
        load.add(file, raw, report);
        if load.diagnostics[found..].iter().any(is_error) {
            rejected.push(file.to_owned());
            for domain in load.domains.drain(domains..) {
                load.origins.remove(&domain.name);
            }
        }
    }
    // Texts that are merged are rejected together: a part of a domain might limit too much or too little.
    for parts in std::mem::take(&mut load.deferred) {
        let files: Vec<PathBuf> = parts.iter().map(|part| part.file.to_path_buf()).collect();
        let (domains, found) = (load.domains.len(), load.diagnostics.len());
        load.merge(parts);
        let is_faulty = load.diagnostics[found..].iter().any(is_error);
        if is_faulty || files.iter().any(|file| rejected.contains(file)) {
            load.domains.truncate(domains);
            rejected.extend(files);
        }
    }
    rejected.sort_unstable();
    rejected.dedup();
    LoadedTexts {
        policy: Policy::new(load.domains),
        diagnostics: load.diagnostics,
        rejected,
    }
}

/// Domains that were loaded from texts.
#[derive(Debug)]
pub struct LoadedTexts {
    /// Those without an error.
    pub policy: Policy,
    /// All findings, in the order of the texts.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts with errors, by their names in diagnostics.
    pub rejected: Vec<PathBuf>,
}
