//! Assignments that are added while weir serves.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::assigned::{Assigned, Assignment};
use super::builder::TableBuilder;
use super::client_key::ClientKey;
use super::join::join;
use super::row::{RawRow, RowFault, RowField};
use crate::clock::{Timestamp, rfc3339_text};
use crate::document::{Position, Report, Severity, did_you_mean, quoted};
use crate::policy::matchers::sha256::Sha256Hash;
use crate::policy::rule::AssignedBy;
use crate::policy::tree::{Domain, Policy};

/// Which value of which table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssignmentId {
    /// The domain.
    pub domain: String,
    /// The name of the table.
    pub table: String,
    /// The SHA-256 of the value: 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// A row that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedAssignment {
    /// The value that it is for.
    #[serde(flatten)]
    pub id: AssignmentId,
    /// What is assigned to it.
    #[serde(flatten)]
    pub fields: AssignmentFields,
}

/// The fields of an assignment, but for the value that it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AssignmentFields {
    /// The name of a plan; `None` if there is a `rate_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// `600 per minute`, or limits in the language of policies; `None` if there is a `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<String>,
    /// When it ends; `None` if it does not.
    #[serde(
        default,
        with = "rfc3339_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub until: Option<Timestamp>,
    /// Why it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A row that a policy cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}; {help}")]
pub struct UnusableAssignment {
    message: String,
    help: String,
}

impl From<RowFault> for UnusableAssignment {
    fn from(RowFault { message, help }: RowFault) -> Self {
        Self { message, help }
    }
}

impl AssignmentId {
    /// The id of a value.
    pub fn of_value(domain: &str, table: &str, value: &[u8]) -> Self {
        Self {
            domain: domain.to_owned(),
            table: table.to_owned(),
            sha256: Sha256Hash::of(value).hex(),
        }
    }

    /// The id of a value that is known by its SHA-256 in hex; `None` if that is not one.
    pub fn of_sha256(domain: &str, table: &str, hex: &str) -> Option<Self> {
        Some(Self {
            domain: domain.to_owned(),
            table: table.to_owned(),
            sha256: Sha256Hash::from_hex(hex)?.hex(),
        })
    }

    /// What is shown of the value: the first digits of its SHA-256.
    pub fn short(&self) -> String {
        let digits = self.sha256.get(..8).unwrap_or_default();
        format!("sha256:{digits}")
    }
}

impl Policy {
    /// This policy with these rows added to its tables, in place of those that it has, and what is wrong with rows that
    /// it cannot use, which have no effect. Added rows precede those of files.
    pub fn with_assignments(&self, rows: &[AddedAssignment]) -> (Self, Vec<UnusableAssignment>) {
        let mut faults = Vec::new();
        for row in rows {
            if let Err(fault) = self.table(&row.id.domain, &row.id.table) {
                faults.push(fault.into());
            }
        }
        let domains = self.by_index().into_iter();
        let added = domains.map(|domain| {
            let own = rows.iter().filter(|row| *row.id.domain == *domain.name);
            let (assigned, found) = join_rows(domain, &own.collect::<Vec<_>>());
            faults.extend(found.into_iter().map(UnusableAssignment::from));
            assigned
        });
        let added = (!rows.is_empty()).then(|| added.collect());
        (self.with_added(added), faults)
    }

    /// Checks a row.
    ///
    /// # Errors
    /// If the policy has no such domain, table or plan, or if the row is not valid.
    pub fn check_assignment(&self, row: &AddedAssignment) -> Result<(), UnusableAssignment> {
        let domain = self.table(&row.id.domain, &row.id.table)?;
        let (_, faults) = join_rows(domain, &[row]);
        let first = faults.into_iter().next();
        first.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// The domain of a table.
    fn table(&self, domain: &str, table: &str) -> Result<&Domain, RowFault> {
        let Some(found) = self.domain(domain.as_bytes()) else {
            let names: Vec<_> = self.domains().iter().map(|known| &*known.name).collect();
            let help = did_you_mean(domain, names.iter().copied());
            let help = help.unwrap_or_else(|| format!("the domains are {}", names.join(", ")));
            return Err(RowFault::new(
                format!("no domain is named {}", quoted(domain)),
                help,
            ));
        };
        let names: Vec<_> = found.tables.iter().map(|table| &*table.name).collect();
        if names.contains(&table) {
            return Ok(found);
        }
        let message = format!("no table is named {}", quoted(table));
        let help = match did_you_mean(table, names.iter().copied()) {
            Some(near) => near,
            None if names.is_empty() => "write `assignments: NAME` on a descriptor".to_owned(),
            None => format!("the tables are {}", names.join(", ")),
        };
        Err(RowFault::new(message, help))
    }

    /// The row in force for a value of a table, added or of a file.
    ///
    /// # Errors
    /// If the domain or the table is unknown, or if the `sha256` of the id is not a SHA-256.
    pub fn find_assignment(
        &self,
        id: &AssignmentId,
        value: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Option<Assignment<'_>>, UnusableAssignment> {
        let domain = self.table(&id.domain, &id.table)?;
        let hash = Sha256Hash::from_hex(&id.sha256);
        let Some(hash) = hash else {
            return Err(RowFault::new("not a SHA-256", "write its 64 digits").into());
        };
        let client = match value {
            Some(value) => ClientKey::new(value),
            None => ClientKey::from_sha256(&hash),
        };
        let rules = domain.assigned_rules.iter();
        let mut rules = rules.filter_map(|rule| domain.rules.get(*rule as usize)?.assigned_by);
        let is_table = |by: &AssignedBy| {
            let table = domain.tables.get(by.table as usize);
            table.is_some_and(|table| *table.name == *id.table)
        };
        let by = rules.find(is_table);
        Ok(by.and_then(|by| self.find_row(domain, by, &client, now)))
    }
}

/// Joins rows of one domain with its rules, and says what is wrong with those that cannot be used.
fn join_rows(domain: &Domain, rows: &[&AddedAssignment]) -> (Assigned, Vec<RowFault>) {
    let mut report = Report::new(Path::new(""));
    let tables = domain.tables.iter().map(|table| {
        let own = rows.iter().filter(|row| row.id.table == *table.name);
        let mut builder = TableBuilder::default();
        for (index, row) in own.enumerate() {
            let at = |_: RowField| Position {
                line: index as u32 + 1,
                column: 1,
            };
            builder.add(&row.raw(), index as u32 + 1, at, None, &mut report);
        }
        Some(Arc::new(builder.finish(Vec::new(), &mut report)))
    });
    let tables = tables.collect();
    let (assigned, faults) = join(domain, tables);
    let invalid = report.into_diagnostics().into_iter();
    let invalid = invalid.filter(|found| found.severity == Severity::Error);
    let invalid = invalid.map(|found| RowFault::new(found.message, found.help));
    let faults = faults.into_iter().map(|(_, _, fault)| fault);
    (assigned, invalid.chain(faults).collect())
}

impl AddedAssignment {
    fn raw(&self) -> RawRow<'_> {
        let mut row = RawRow::default();
        row.set(RowField::Sha256, (&*self.id.sha256).into());
        let fields = &self.fields;
        let until = fields.until.map(Timestamp::to_rfc3339);
        for (field, text) in [
            (RowField::Plan, fields.plan.as_deref()),
            (RowField::RateLimit, fields.rate_limit.as_deref()),
            (RowField::Note, fields.note.as_deref()),
            (RowField::Author, fields.author.as_deref()),
        ] {
            if let Some(text) = text {
                row.set(field, text.into());
            }
        }
        if let Some(until) = until {
            row.set(RowField::Until, until.into());
        }
        row
    }
}
