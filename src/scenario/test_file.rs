//! A scenario file, read: tests, and what they do step by step.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Micros, Timestamp};
use crate::document::{Metadata, Position, Value};
use crate::limit::Quota;
use crate::policy::Policy;
use crate::request::Descriptor;

/// The tests of one file.
#[derive(Debug)]
pub struct TestFile {
    /// The file.
    pub file: PathBuf,
    /// In the order of the file.
    pub tests: Vec<Test>,
}

/// One test: it begins with fresh counters.
#[derive(Debug)]
pub struct Test {
    /// What it is about.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// In force when it begins.
    pub policy: Arc<Policy>,
    /// When it begins.
    pub start: Timestamp,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug)]
pub struct Step {
    /// Where it stands.
    pub position: Position,
    /// What happens.
    pub action: Action,
}

/// What can happen.
#[derive(Debug)]
pub enum Action {
    /// A request, or several alike.
    Ask(Box<Ask>),
    /// Time passes.
    Wait(Micros),
    /// It is that time, be it later or earlier than before.
    At(Timestamp),
    /// Another policy is in force; counters stay.
    Reload(Arc<Policy>),
}

/// Requests that are all alike.
#[derive(Debug)]
pub struct Ask {
    /// The domain that is asked.
    pub domain: Bytes,
    /// At least one.
    pub descriptors: Vec<Descriptor>,
    /// How often it is asked; at least once.
    pub times: u32,
    /// How long it is from one to the next.
    pub every: Micros,
    /// The name under which the leases that are granted are kept.
    pub keep: Option<String>,
    /// The name of the leases that are given back, one at a time, by each descriptor that gives hits back.
    pub give_back: Option<String>,
    /// What is expected of the answers.
    pub expect: Expectation,
}

/// What is expected of answers; what is not named may be anything.
#[derive(Debug, Default)]
pub struct Expectation {
    /// How many are let through before the others are refused. Without it each answer is as the rest says, with it the
    /// last one.
    pub tally: Option<Tally>,
    /// Of the whole answer.
    pub code: Option<Word>,
    /// One per descriptor, or none.
    pub standings: Vec<Standing>,
    /// All headers, in any order.
    pub headers: Option<Vec<ExpectedHeader>>,
    /// Some of the headers.
    pub headers_include: Vec<ExpectedHeader>,
    /// The body.
    pub body: Option<ExpectedBody>,
    /// Whether a lease is granted.
    pub lease: Option<bool>,
    /// All metadata.
    pub metadata: Option<Metadata>,
}

/// So many pass, then so many are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Let through.
    pub ok: u32,
    /// Refused after them.
    pub over_limit: u32,
}

/// How a descriptor is expected to stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// In one word.
    pub word: Option<Word>,
    /// Hits that would still pass.
    pub remaining: Option<u32>,
    /// Whole seconds until there is room again.
    pub reset_secs: Option<u64>,
    /// The limit that is reported.
    pub limit: Option<Quota>,
    /// That limit's name; empty for none.
    pub name: Option<String>,
}

/// How something stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Let through, for whatever reason.
    Ok,
    /// Refused.
    OverLimit,
    /// Let through because there is no limit for it.
    NoLimit,
    /// Let through because its rule is `unlimited`.
    Unlimited,
}

/// A header and its value; none if there must be no such header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedHeader {
    /// In any case.
    pub name: String,
    /// Compared exactly.
    pub value: Option<String>,
}

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedBody {
    /// Compared byte by byte; empty for none.
    Text(String),
    /// Compared by what the JSON says.
    Json(Value),
}

impl Word {
    /// Every word, as it is written.
    pub const ALL: [(&'static str, Self); 4] = [
        ("ok", Self::Ok),
        ("over_limit", Self::OverLimit),
        ("no_limit", Self::NoLimit),
        ("unlimited", Self::Unlimited),
    ];

    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OverLimit => "over_limit",
            Self::NoLimit => "no_limit",
            Self::Unlimited => "unlimited",
        }
    }
}
