//! `assignments`: the tables that descriptors name.

use super::compiler::Compiler;
use crate::document::Report;
use crate::policy::PolicyCode;
use crate::policy::raw::RawDescriptor;
use crate::policy::tree::UsedTable;

impl Compiler<'_> {
    /// The index of the table of a descriptor; `None` if it has none, or if an error was reported.
    pub(super) fn table(
        &mut self,
        raw: &RawDescriptor,
        counts_values: bool,
        report: &mut Report,
    ) -> Option<u32> {
        let name = raw.extras.assignments.given()?;
        if !raw.is_rule() {
            let message =
                "`assignments` without `plan` or `rate_limit` for the values that have no row";
            report.add(PolicyCode::AssignmentsWithoutLimit, name.position, message);
        }
        if !counts_values {
            let message = "`assignments` on a descriptor whose values share counters";
            report.add(
                PolicyCode::AssignmentsOfSharedCounters,
                name.position,
                message,
            );
        }
        self.known_tables.check(name, report);
        let file = report.file();
        let is_same =
            |table: &UsedTable| *table.name == *name.value && table.file.parent() == file.parent();
        let is_secret = raw
            .key
            .given()
            .is_some_and(|key| self.summary.is_secret(&key.value));
        if let Some(at) = self.tables.iter().position(is_same) {
            self.tables[at].is_secret |= is_secret;
            return Some(at as u32);
        }
        self.tables.push(UsedTable {
            name: (*name.value).into(),
            file: file.clone(),
            is_secret,
        });
        Some(self.tables.len() as u32 - 1)
    }
}
