//! What stands for `traces.rs` in a build without the feature: no value of it exists.

use std::convert::Infallible;

use thiserror::Error;

use super::collector::TraceConfig;
use crate::engine::{Decision, DescriptorResult};

/// Creates and exports spans, which this build cannot.
#[derive(Debug)]
pub enum Traces {}

/// The span of one decision, of which this build has none.
#[derive(Debug)]
pub struct DecisionSpan(Infallible);

impl Traces {
    /// Fails: this build exports nothing.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &TraceConfig) -> Result<Self, TraceError> {
        Err(TraceError)
    }

    /// Starts the span of a call.
    pub fn decision<'h>(&self, _: impl Fn(&str) -> Option<&'h str>) -> DecisionSpan {
        match *self {}
    }

    /// Exports the remaining spans.
    pub fn end(&self) {
        match *self {}
    }
}

impl DecisionSpan {
    /// Adds the result of a descriptor.
    pub fn record(&mut self, _: &DescriptorResult<'_>) {
        match self.0 {}
    }

    /// Sets the code of the decision.
    pub fn decided(&mut self, _: &Decision) {
        match self.0 {}
    }

    /// Marks the call as failed.
    pub fn fail(&mut self, _: &str) {
        match self.0 {}
    }
}

/// Spans cannot be exported.
#[derive(Clone, Copy, Debug, Error)]
#[error(
    "this weir was built without OTLP: leave out --otlp, or build it with the Cargo feature `otlp`"
)]
pub struct TraceError;
