//! A `ShouldRateLimit` message of any bytes.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::message(data));

#[cfg(not(fuzzing))]
fn main() {}
