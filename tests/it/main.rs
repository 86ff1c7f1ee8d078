//! One integration binary.

mod policies;
