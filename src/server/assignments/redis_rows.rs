//! The assignments in Redis, which all instances share: one record for each.

use std::collections::BTreeMap;

use crate::policy::{AddedAssignment, AssignmentId};
use crate::store::{RecordStore, SharedRecords, StoreError};

/// Assignments, and their version in Redis.
type VersionedRows = (BTreeMap<AssignmentId, AddedAssignment>, u64);

/// Access to the rows of all instances.
#[derive(Clone, Copy, Debug)]
pub(super) struct RedisRows<'s>(pub(super) RecordStore<'s>);

impl RedisRows<'_> {
    /// Writes a row, or deletes it, and returns all rows. `known` are those of `version`; a Redis that has lost them gets
    /// them back.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub(super) async fn change(
        self,
        id: &AssignmentId,
        row: Option<&AddedAssignment>,
        known: &BTreeMap<AssignmentId, AddedAssignment>,
        version: u64,
    ) -> Result<VersionedRows, StoreError> {
        let text = row.map(text);
        let written = self.0.write(&name(id), text.as_deref()).await?;
        if written <= version {
            self.restore(known, Some(id)).await?;
        }
        self.0.read().await.map(rows)
    }

    /// All rows, if they have changed since `version`; `known` are those of `version`, as in [`Self::change`].
    ///
    /// # Errors
    /// Redis is unavailable.
    pub(super) async fn read_if_changed(
        self,
        known: &BTreeMap<AssignmentId, AddedAssignment>,
        version: u64,
    ) -> Result<Option<VersionedRows>, StoreError> {
        if self.0.version().await? == version {
            return Ok(None);
        }
        let mut read = self.0.read().await?;
        if read.version < version {
            self.restore(known, None).await?;
            read = self.0.read().await?;
        }
        Ok(Some(rows(read)))
    }

    /// Writes what is known into a Redis that has lost it, except the row that has just been changed.
    async fn restore(
        self,
        known: &BTreeMap<AssignmentId, AddedAssignment>,
        changed: Option<&AssignmentId>,
    ) -> Result<(), StoreError> {
        tracing::error!("redis has lost the assignments, they are written again");
        for (id, row) in known.iter().filter(|(id, _)| Some(*id) != changed) {
            self.0.write(&name(id), Some(&text(row))).await?;
        }
        Ok(())
    }
}

fn rows(read: SharedRecords) -> VersionedRows {
    let rows = read.texts.values().filter_map(|text| {
        let row = serde_json::from_str::<AddedAssignment>(text);
        // A newer version of weir may write rows that this one cannot read.
        row.inspect_err(|_| tracing::error!("an assignment in redis cannot be read"))
            .ok()
    });
    let by_id = rows.map(|row| (row.id.clone(), row)).collect();
    (by_id, read.version)
}

/// The name of a row in Redis.
fn name(id: &AssignmentId) -> String {
    // No name contains a line break that another could be mistaken for: the hash at the end has a fixed length.
    format!("{}\n{}\n{}", id.domain, id.table, id.sha256)
}

fn text(row: &AddedAssignment) -> String {
    // It consists of texts only.
    serde_json::to_string(row).unwrap_or_default()
}
