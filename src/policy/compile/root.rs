//! The settings at the root of a domain, merged from its files.

use std::path::Path;
use std::sync::Arc;

use super::on_store_error;
use crate::document::{Field, FilePosition, PathElement, Position, Report, Spanned, Text};
use crate::policy::PolicyCode;
use crate::policy::raw::{RawDomain, RawResponse};
use crate::policy::{DomainDefaults, OnStoreError};

/// One file of a domain.
#[derive(Debug)]
pub(crate) struct DomainFile {
    pub(crate) file: Arc<Path>,
    pub(crate) raw: RawDomain,
}

/// The settings at the root.
#[derive(Debug, Default)]
pub(super) struct RootSettings {
    pub(super) name: Option<Text>,
    pub(super) shadow_mode: bool,
    pub(super) quota_mode: bool,
    pub(super) atomic: bool,
    pub(super) lease_entry: Option<Text>,
    pub(super) on_store_error: OnStoreError,
    /// With the index of its file.
    pub(super) response: Option<(u32, RawResponse)>,
}

impl RootSettings {
    /// Merges the roots of the parts: each key may be in one of them, or be identical in several.
    /// `defaults` can only add modes.
    pub(super) fn merge(
        parts: &mut [DomainFile],
        defaults: &DomainDefaults,
        report: &mut Report,
    ) -> Self {
        let mut root = Self::default();
        let mut merge = RootMerge { parts, report };
        root.shadow_mode = merge
            .single_value("shadow_mode", |raw| &mut raw.shadow_mode)
            .map_or(defaults.shadow_mode, |(_, is_set)| {
                is_set || defaults.shadow_mode
            });
        root.quota_mode = merge
            .single_value("quota_mode", |raw| &mut raw.quota_mode)
            .map_or(defaults.quota_mode, |(_, is_set)| {
                is_set || defaults.quota_mode
            });
        root.atomic = merge
            .single_value("atomic", |raw| &mut raw.atomic)
            .map_or(defaults.atomic, |(_, is_set)| is_set || defaults.atomic);
        let lease_entry = merge.single_value("lease_entry", |raw| &mut raw.lease_entry);
        root.lease_entry = lease_entry.map(|(_, name)| name);
        root.response = merge.single_value("response", |raw| &mut raw.response);
        let written = merge.single_value("on_store_error", |raw| &mut raw.on_store_error);
        if let Some((file, written)) = written {
            let written = Field::Given(written);
            root.on_store_error = report
                .in_file(file, |report| on_store_error(&written, report))
                .unwrap_or_default();
        }
        let named = parts.iter().find_map(|part| part.raw.name.given());
        root.name = named.map(|name| name.value.clone());
        root
    }
}

struct RootMerge<'m> {
    parts: &'m mut [DomainFile],
    report: &'m mut Report,
}

impl RootMerge<'_> {
    /// The value in the first file with that key, and the index of the file; others must be identical.
    fn single_value<T: PartialEq>(
        &mut self,
        key: &'static str,
        field: impl Fn(&mut RawDomain) -> &mut Option<Spanned<T>>,
    ) -> Option<(u32, T)> {
        let mut first: Option<(u32, Spanned<T>)> = None;
        for (file, part) in self.parts.iter_mut().enumerate() {
            let file = file as u32;
            let Some(next) = field(&mut part.raw).take() else {
                continue;
            };
            let Some((first_file, first)) = &first else {
                first = Some((file, next));
                continue;
            };
            if *first != next {
                let first = FilePosition {
                    position: first.position,
                    file: *first_file,
                };
                self.report.in_file(file, |report| {
                    report.within(PathElement::Key(key), |report| {
                        report_conflict(key, first, next.position, report);
                    });
                });
            }
        }
        first.map(|(file, first)| (file, first.value))
    }
}

fn report_conflict(
    key: &str,
    first: FilePosition,
    position: Option<Position>,
    report: &mut Report,
) {
    let first = report.describe(first).unwrap_or_default();
    let message = format!("`{key}` has another value {first}");
    let help = "write keys of the whole domain in one of its files";
    report.add_with_help(PolicyCode::ConflictingRoots, position, message, help);
}
