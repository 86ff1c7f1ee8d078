//! A policy file of any text.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::policy(data));

#[cfg(not(fuzzing))]
fn main() {}
