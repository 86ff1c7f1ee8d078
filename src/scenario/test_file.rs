//! The content of a scenario file: tests and their steps.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::{Micros, Timestamp};
use crate::document::{Metadata, Position, Value};
use crate::limit::Quota;
use crate::policy::{AddedAssignment, AssignmentId, Policy};
use crate::request::Descriptor;

/// How the names of scenario files in a folder end.
pub(super) const SUFFIXES: [&str; 2] = [".test.yaml", ".test.yml"];

/// The largest number of calls of one step.
pub(super) const MAX_TIMES: u32 = 10_000_000;

/// The tests of one file.
#[derive(Debug)]
pub struct TestFile {
    /// The file.
    pub file: PathBuf,
    /// The tests, in the order of the file.
    pub tests: Vec<Test>,
}

/// One test. It starts with fresh counters.
#[derive(Debug)]
pub struct Test {
    /// The name of the test.
    pub name: String,
    /// The position in the file.
    pub position: Position,
    /// The policy at the start.
    pub policy: Arc<Policy>,
    /// The time at the start.
    pub start: Timestamp,
    /// The steps, in order.
    pub steps: Vec<TestStep>,
}

/// One step of a test.
#[derive(Debug)]
pub struct TestStep {
    /// The position in the file.
    pub position: Position,
    /// The action.
    pub action: StepAction,
}

/// The action of a step.
#[derive(Debug)]
pub enum StepAction {
    /// `ask`: one request, repeated or not.
    Request(Box<TestRequest>),
    /// `wait`: move the clock forward.
    Wait(Micros),
    /// `at`: set the clock, forwards or back.
    At(Timestamp),
    /// `reload`: replace the policy and keep the counters.
    Reload(Arc<Policy>),
    /// `assign`: add a row to a table.
    Assign(Box<AddedAssignment>),
    /// `unassign`: remove the row that was added for a value.
    Unassign(AssignmentId),
}

/// A request, and how often it is sent.
#[derive(Debug)]
pub struct TestRequest {
    /// The domain of the request.
    pub domain: Bytes,
    /// At least one.
    pub descriptors: Vec<Descriptor>,
    /// The number of calls; at least 1.
    pub times: u32,
    /// The time between two calls.
    pub every: Micros,
    /// `keep`: the name under which granted leases are saved.
    pub keep: Option<String>,
    /// `give_back`: the name of the saved leases of which each call releases one.
    pub give_back: Option<String>,
    /// What the answers must be.
    pub expect: Expectation,
}

/// The expected properties of an answer. `None` allows any value.
#[derive(Debug, Default)]
pub struct Expectation {
    /// How many calls are admitted before the rest is refused. With it, the other expectations apply to the last answer
    /// only; without it, to each.
    pub counts: Option<ExpectedCounts>,
    /// The code of the whole answer.
    pub code: Option<ExpectedCode>,
    /// One per descriptor, or empty.
    pub statuses: Vec<ExpectedStatus>,
    /// All headers of the answer, in any order.
    pub headers: Option<Vec<ExpectedHeader>>,
    /// Some headers of the answer.
    pub headers_include: Vec<ExpectedHeader>,
    /// All headers for the upstream, in any order.
    pub request_headers: Option<Vec<ExpectedHeader>>,
    /// The body.
    pub body: Option<ExpectedBody>,
    /// Whether a lease is granted.
    pub lease: Option<bool>,
    /// Whether the request is exempt from all limits.
    pub exempt: Option<bool>,
    /// All metadata of the answer.
    pub metadata: Option<Metadata>,
}

/// `ok` admitted calls, followed by `over_limit` refused calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedCounts {
    /// Admitted calls.
    pub ok: u32,
    /// Refused calls after them.
    pub over_limit: u32,
}

/// The expected status of a descriptor. `None` allows any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedStatus {
    /// The code.
    pub code: Option<ExpectedCode>,
    /// Hits that would still be admitted.
    pub remaining: Option<u32>,
    /// The same, with a token bucket's burst.
    pub available: Option<u32>,
    /// Seconds until the limit resets.
    pub reset_after_secs: Option<u64>,
    /// The reported limit.
    pub limit: Option<Quota>,
    /// The name of the reported limit; empty for no name.
    pub name: Option<String>,
}

/// The expected code of an answer or of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedCode {
    /// Admitted, for any reason.
    Ok,
    /// Refused.
    OverLimit,
    /// Admitted because no rule matches.
    NoLimit,
    /// Admitted because the rule is `unlimited`.
    Unlimited,
}

/// An expected header; `None` if the answer must not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedHeader {
    /// The name; case does not matter.
    pub name: String,
    /// The exact value.
    pub value: Option<String>,
}

/// An expected body.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedBody {
    /// The exact text; empty for no body.
    Text(String),
    /// JSON that is equal to this value.
    Json(Value),
}

impl ExpectedCode {
    /// Every code with its text.
    pub const ALL: [(&'static str, Self); 4] = [
        ("ok", Self::Ok),
        ("over_limit", Self::OverLimit),
        ("no_limit", Self::NoLimit),
        ("unlimited", Self::Unlimited),
    ];

    /// The text of the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OverLimit => "over_limit",
            Self::NoLimit => "no_limit",
            Self::Unlimited => "unlimited",
        }
    }
}
