//! The state machine under ordinary clients and under attack.

mod attacks;
mod calls;
mod client;
mod ends;
mod splits;
