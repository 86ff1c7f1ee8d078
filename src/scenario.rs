//! Scenarios: what a policy promises, tried out in virtual time.
//!
//! A scenario file is read into a [`TestFile`] (strictly, as policies are), and each of its tests is
//! run by an engine of its own: the real one, with a clock that only moves when the test says so.
//! `docs/testing-policies.md` is the language.

mod code;
mod compare;
mod json_schema;
mod junit;
mod keys;
mod load;
mod read;
mod report;
mod run;
mod test_file;
mod time;

pub use code::ScenarioCode;
pub use json_schema::schema;
pub use junit::junit;
pub use keys::{KEYS, Key, Level, Shape};
pub use load::{LoadedTestFile, find, load};
pub use report::{Difference, Failure, FileReport, TestReport};
pub use run::run;
pub use test_file::{
    Expectation, ExpectedCode, ExpectedCounts, ExpectedStatus, StepAction, Test, TestFile,
    TestRequest, TestStep,
};
pub use time::parse_timestamp;
