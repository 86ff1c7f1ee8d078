//! Stored states of any bytes.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::states(data));

#[cfg(not(fuzzing))]
fn main() {}
