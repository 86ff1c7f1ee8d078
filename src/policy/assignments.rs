//! Assignments: clients whose terms are not those of their rule.
//!
//! A node names a table. A row of it gives one value of the node's key a plan or limits of its own, perhaps until a
//! time. Rows come from files next to the policies (`csv_rows`, `json_rows`), or are added while weir serves
//! (`added`). `table` is what a decision looks in; `join` makes what it finds into terms for each rule.

mod added;
mod assigned;
mod builder;
mod client_key;
mod csv_rows;
mod files;
mod join;
mod json_rows;
mod read;
mod row;
mod table;

pub use added::{AddedAssignment, AssignmentFields, AssignmentId, UnusableAssignment};
pub(super) use assigned::Assigned;
pub use assigned::{Assignment, AssignmentOrigin};
pub(super) use client_key::ClientKey;
pub(super) use files::TableFiles;
pub(super) use read::assign;
pub(super) use row::RowFault;

#[cfg(test)]
mod tests;
