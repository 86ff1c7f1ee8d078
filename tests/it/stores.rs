//! Where the counters of these tests are; the `redis` binary runs some of them with counters elsewhere.

use tokio::runtime::Runtime;
use weir::store::{MemoryConfig, Store};

pub(crate) fn fresh(_: &Runtime) -> Store {
    Store::memory(MemoryConfig::default()).unwrap()
}
