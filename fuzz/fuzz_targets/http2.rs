//! A connection whose client sends anything.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::http2(data));

#[cfg(not(fuzzing))]
fn main() {}
