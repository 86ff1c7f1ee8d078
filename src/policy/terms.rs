//! Terms: the limits of a client, with what else depends on its plan.

use std::sync::Arc;

use crate::document::Metadata;
use crate::policy::{Limits, ResponseTemplate};

/// What a client is allowed. A plan is terms with a name.
#[derive(Debug)]
pub struct Terms {
    /// The name of the plan; `None` for limits of their own.
    pub plan: Option<Arc<str>>,
    /// The limits.
    pub limits: Limits,
    /// The names of limits of other rules that these replace in the same request.
    pub replaces: Box<[Arc<str>]>,
    /// The metadata in place of that of the node; `None` to keep it.
    pub metadata: Option<Arc<Metadata>>,
    /// The response in place of that of the node; `None` to keep it.
    pub response: Option<Arc<ResponseTemplate>>,
}
