//! What stands for `redis.rs` in a build without the feature: a store that no value of exists.

#![allow(clippy::unused_async, reason = "the functions of redis.rs wait")]

use super::memory::Memory;
use super::{
    Batch, BatchOutcome, CounterKey, KeyHasher, NotCounted, RngError, SharedRecords, Stats,
    StoreError,
};
use crate::clock::Timestamp;
use crate::limit::Outcomes;
use crate::request::LeaseId;
use smallvec::SmallVec;

/// The configuration of a store in Redis, of which this build has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisConfig {}

/// Counters in Redis, of which this build has none.
#[derive(Debug)]
pub enum Redis {}

impl Redis {
    pub(super) fn new(config: RedisConfig, _: Memory) -> Result<Self, RngError> {
        match config {}
    }

    pub(super) fn is_cluster(&self) -> bool {
        match *self {}
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        match *self {}
    }

    pub(super) fn prepare(&self) {
        match *self {}
    }

    pub(super) fn new_lease(&self) -> LeaseId {
        match *self {}
    }

    pub(super) async fn connected(&self) {
        match *self {}
    }

    pub(super) async fn hit(&self, _: Timestamp, _: &Batch<'_>) -> BatchOutcome {
        match *self {}
    }

    pub(super) fn hit_fallback(
        &self,
        _: Timestamp,
        _: &Batch<'_>,
        _: &[NotCounted],
    ) -> SmallVec<[Outcomes; 2]> {
        match *self {}
    }

    pub(super) fn release(&self, _: Timestamp, _: LeaseId, _: &[CounterKey]) {
        match *self {}
    }

    pub(super) async fn records_version(&self) -> Result<u64, StoreError> {
        match *self {}
    }

    pub(super) async fn records(&self) -> Result<SharedRecords, StoreError> {
        match *self {}
    }

    pub(super) async fn write_record(&self, _: &str, _: Option<&str>) -> Result<u64, StoreError> {
        match *self {}
    }

    pub(super) async fn reset(&self, _: CounterKey) -> Result<bool, StoreError> {
        match *self {}
    }

    pub(super) fn stats(&self) -> Stats {
        match *self {}
    }

    pub(super) fn error(&self) -> Option<StoreError> {
        match *self {}
    }
}
