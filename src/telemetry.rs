//! What weir tells its operators.

mod logs;

pub use logs::{LogConfig, LogError, log};
