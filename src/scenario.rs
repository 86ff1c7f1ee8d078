//! Scenarios: tests of policies in virtual time.
//!
//! [`load`] parses a scenario file into a [`TestFile`], as strictly as policies are parsed; [`run`]
//! runs each test on the real engine, with a clock that moves only when the test says so. The file
//! format is described in `docs/reference/scenarios.md`.
//!
//! ```
//! use std::path::Path;
//! use weir::scenario;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = scenario::load(Path::new("config/peeker.test.yaml"))?;
//! let tests = loaded.test_file.ok_or("see loaded.diagnostics")?;
//! for test in scenario::run(&tests, |name| name.contains("key"))? {
//!     println!("{}: {}", test.name, if test.failure.is_none() { "passed" } else { "failed" });
//! }
//! # Ok(())
//! # }
//! ```

mod code;
mod compare;
mod compile;
mod junit;
mod load;
mod policies;
mod raw;
mod report;
mod run;
mod test_file;
mod time;

pub use code::ScenarioCode;
pub use junit::junit;
pub use load::{LoadedTestFile, find, load};
pub use raw::json_schema;
pub use report::{Difference, Failure, FileReport, TestReport};
pub use run::run;
pub use test_file::{
    Expectation, ExpectedCode, ExpectedCounts, ExpectedStatus, StepAction, Test, TestFile,
    TestRequest, TestStep,
};
pub use time::{parse_duration, parse_timestamp};
