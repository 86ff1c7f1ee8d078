//! One row as it is written.

use std::borrow::Cow;

/// A column of a file, or a key of a line in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowField {
    Value,
    Sha256,
    Plan,
    RateLimit,
    Until,
    Note,
    Author,
}

impl RowField {
    pub(super) const ALL: [Self; 7] = [
        Self::Value,
        Self::Sha256,
        Self::Plan,
        Self::RateLimit,
        Self::Until,
        Self::Note,
        Self::Author,
    ];

    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Sha256 => "sha256",
            Self::Plan => "plan",
            Self::RateLimit => "rate_limit",
            Self::Until => "until",
            Self::Note => "note",
            Self::Author => "author",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }
}

/// The fields of a row. Empty ones are left out.
#[derive(Debug, Default)]
pub(super) struct RawRow<'t>([Option<Cow<'t, str>>; RowField::ALL.len()]);

impl<'t> RawRow<'t> {
    pub(super) fn set(&mut self, field: RowField, text: Cow<'t, str>) {
        self.0[field as usize] = Some(text).filter(|text| !text.is_empty());
    }

    pub(super) fn get(&self, field: RowField) -> Option<&str> {
        self.0[field as usize].as_deref()
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct RowFault {
    /// One sentence, lower case, without a full stop.
    pub(in crate::policy) message: String,
    /// How to correct it.
    pub(in crate::policy) help: String,
}

impl RowFault {
    pub(in crate::policy) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}
