//! Assignments: limits that single clients have.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::policy::{AssignmentFields, TableSummary};

/// `POST /api/assignments/set`: other limits for one value of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssignmentSet {
    /// The value, and its table.
    #[serde(flatten)]
    pub client: AssignedClient,
    /// What is assigned to it.
    #[serde(flatten)]
    pub fields: AssignmentFields,
}

/// `POST /api/assignments/show` and `…/remove`: a value of a table, in clear or by its SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssignedClient {
    /// The domain; `None` if only one has tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The name of the table; `None` if the domain has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its SHA-256 in hex; of an assignment that was added, the first 8 digits are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The answer to a change, or to a question about one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssignmentAnswer {
    /// What was done; `None` for a question.
    pub outcome: Option<String>,
    /// Where assignments that are added are kept.
    pub storage: AssignmentStorage,
    /// The assignment: in force, or removed; `None` if there is none.
    pub assignment: Option<ListedAssignment>,
}

/// `GET /api/assignments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssignmentList {
    /// Where assignments that are added are kept.
    pub storage: AssignmentStorage,
    /// The tables of the policy, and how many rows their files have.
    pub tables: Vec<TableSummary>,
    /// The assignments that were added, by domain and table.
    pub assignments: Vec<ListedAssignment>,
}

/// Where assignments that are added are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AssignmentStorage {
    /// In memory.
    Memory,
    /// In the folder of `--state`.
    File,
    /// In Redis.
    Redis,
}

/// An assignment, without the value that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListedAssignment {
    /// The domain.
    pub domain: String,
    /// The table.
    pub table: String,
    /// The start of the SHA-256 of the value.
    pub client: String,
    /// The name of the plan.
    pub plan: Option<String>,
    /// The limits in place of a plan.
    pub rate_limit: Option<String>,
    /// When it ends, in RFC 3339; `None` if it does not.
    pub until: Option<String>,
    /// Whether it has ended.
    pub has_ended: bool,
    /// Why it was added.
    pub note: Option<String>,
    /// Who added it.
    pub author: Option<String>,
    /// The file and the line of a row that was not added.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// Why it has no effect by the present policy; `None` if it has.
    pub problem: Option<String>,
}

impl AssignmentStorage {
    /// What becomes of a change, as a sentence without a full stop.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Memory => {
                "kept in memory only, it ends when weir stops: start weir with --state, or with counters in Redis, to keep it"
            }
            Self::File => "stored in the folder of --state",
            Self::Redis => "stored in Redis, for all instances",
        }
    }
}
