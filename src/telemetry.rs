//! What weir tells its operators.

mod history;
mod hitters;
mod logs;
mod metrics;
mod refusals;
mod traces;

pub use history::{History, STEPS, Step};
pub use hitters::{Hitter, Hitters, Top};
pub use logs::{LogConfig, LogError, log};
pub use metrics::{
    Call, DomainDecisions, FAMILIES, Family, Kind, Load, Metrics, Recorder, RuleHits,
};
pub use traces::{DecisionSpan, TraceConfig, TraceError, Traces};
