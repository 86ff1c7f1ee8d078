//! What weir tells its operators.

mod logs;
mod metrics;

pub use logs::{LogConfig, LogError, log};
pub use metrics::{
    Call, DomainDecisions, FAMILIES, Family, Kind, Load, Metrics, Recorder, RuleHits,
};
