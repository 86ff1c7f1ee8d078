//! Scenarios: what a policy promises, tried out in virtual time.
//!
//! A scenario file is read into a [`Script`] (strictly, as policies are), and each of its tests is
//! run by an engine of its own: the real one, with a clock that only moves when the test says so.
//! `docs/testing-policies.md` is the language.

mod compare;
mod json_schema;
mod junit;
mod keys;
mod read;
mod report;
mod run;
mod script;
mod source;
mod time;

pub use json_schema::schema;
pub use junit::junit;
pub use keys::{KEYS, Key, Level, Shape};
pub use report::{Difference, Failure, FileReport, TestReport};
pub use run::run;
pub use script::{Action, Ask, Expectation, Script, Standing, Step, Tally, Test, Word};
pub use source::{Loaded, find, load};
pub use time::{moment, span, written};
